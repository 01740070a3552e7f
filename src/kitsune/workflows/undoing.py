"""Undoing a rollout that stopped: which servers, in which order."""

import asyncio
from dataclasses import dataclass, field

from kitsune.models.results import ServerResult, ServerStatus
from kitsune.rollout.targets import servers_to_undo, undone_result
from kitsune.workflows.children import Children, ServerTaken
from kitsune.workflows.state import RolloutState

_AWAY = "its local worker is away, so nothing could be undone there"


@dataclass
class Undoing:
    """Rolls servers back, newest batch first, so many at once as the plan allows."""

    state: RolloutState
    children: Children
    _tried: set[str] = field(default_factory=set)

    @property
    def is_needed(self) -> bool:
        """Whether anything has to be undone."""
        return bool(self._groups())

    async def run(self) -> None:
        """Undo every server that has to be; how each went is noted in its result."""
        gate = asyncio.Semaphore(self.state.plan.rollback.max_concurrency)
        while groups := self._groups():  # asked anew: an operator may ask for more while it goes on
            self._tried.update(groups[0])
            await asyncio.gather(*(self._undo(server, gate) for server in groups[0]))

    def _groups(self) -> list[list[str]]:
        untried = {
            server: result
            for server, result in self.state.results.items()
            if server not in self._tried
        }
        return servers_to_undo(
            self.state.ledger.batches,
            untried,
            scope=self.state.plan.rollback.scope,
            stopped=self.state.stopped,
            abort=self.state.abort,
        )

    async def _undo(self, server: str, gate: asyncio.Semaphore) -> None:
        if server in self.state.away:
            self._note(server, _failed(server, _AWAY))
            return
        async with gate:
            self.state.undoing.add(server)
            try:
                undo = await self.children.roll_back(server)
            except ServerTaken as taken:
                undo = _failed(server, str(taken))
            self.state.undoing.discard(server)
            self._note(server, undo)

    def _note(self, server: str, undo: ServerResult) -> None:
        self.state.results[server] = undone_result(self.state.results[server], undo)


def _failed(server: str, error: str) -> ServerResult:
    return ServerResult(
        server_id=server,
        success=False,
        status=ServerStatus.UNKNOWN,
        error=error,
        rollback_failed=True,
    )
