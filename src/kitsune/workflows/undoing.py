"""Undoing a rollout that stopped: which servers, in which order, and patience with those that are away."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from temporalio import workflow

from kitsune.models.results import ServerResult, ServerStatus
from kitsune.rollout.targets import pending_result, servers_to_undo, undone_result
from kitsune.workflows.children import Children, ServerTaken
from kitsune.workflows.clock import next_change
from kitsune.workflows.preflight import Preflight
from kitsune.workflows.state import RolloutState

_AWAY = "its local worker is away, so nothing could be undone there"


@dataclass
class Undoing:
    """Rolls servers back, newest batch first, so many at once as the plan allows.

    A server that is away is waited for beside all the others, until the plan's `rollback.deadline`.

    Attributes:
        tell: Says that something has changed that people see.
    """

    state: RolloutState
    children: Children
    preflight: Preflight
    tell: Callable[[], None]
    _tried: set[str] = field(default_factory=set)
    _later: "list[asyncio.Task[None]]" = field(default_factory=list)

    def __post_init__(self) -> None:
        self._gate = asyncio.Semaphore(self.state.plan.rollback.max_concurrency)

    @property
    def is_needed(self) -> bool:
        """Whether anything has to be undone."""
        return bool(self._groups())

    async def run(self) -> None:
        """Undo every server that has to be; how each went is noted in its result."""
        self.children.hurry()
        await self._undo_groups()
        while self._later:
            self.state.undo_rounds += 1
            # An operator may ask for more while some are waited for.
            await next_change(self.state, unless=self._is_later_done)
            if self._is_later_done():
                later, self._later = self._later, []
                await asyncio.gather(*later)
            await self._undo_groups()

    def _is_later_done(self) -> bool:
        return all(task.done() for task in self._later)

    async def _undo_groups(self) -> None:
        while groups := self._groups():  # asked anew: an operator may ask for more while it goes on
            self._tried.update(groups[0])
            await asyncio.gather(*(self._undo(server) for server in groups[0]))

    def _groups(self) -> list[list[str]]:
        if self.state.plan.rollback_of:
            return []  # what it does is undoing already
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
            unsettled=self.state.unsettled,
        )

    async def _undo(self, server: str) -> None:
        if server in self.state.away and self._is_patient(server):
            self._wait_for(server)
            return
        if server in self.state.away:
            self._note(server, _failed(server, _AWAY))
            return
        async with self._gate:
            self.state.undoing.add(server)
            try:
                undo = await self.children.roll_back(server)
            except ServerTaken as taken:
                undo = _failed(server, str(taken))
            self.state.undoing.discard(server)
        if server in self.state.away and self._is_patient(server):
            self._wait_for(server)
            return
        self._note(server, undo)

    def _is_patient(self, server: str) -> bool:
        """Return whether a server is only away; one whose worker fails at our workflows will go on failing."""
        return not self.state.away[server].failing and workflow.patched("pending-rollbacks")

    def _wait_for(self, server: str) -> None:
        if self.state.rollback_until is None:
            self.state.rollback_until = workflow.now() + self.state.plan.rollback.deadline
        self.state.pending.add(server)
        self.tell()
        self._later.append(asyncio.create_task(self._undo_later(server)))

    async def _undo_later(self, server: str) -> None:
        until = self.state.rollback_until or workflow.now()
        back = await self.preflight.await_undoable(server, until=until)
        self.state.pending.discard(server)
        if back:
            self.state.away.pop(server, None)
            await self._undo(server)
        else:
            result = self.state.results[server]
            self.state.results[server] = pending_result(
                result,
                rollout_id=self.state.rollout_id,
                waited=self.state.plan.rollback.deadline,
            )
        self.tell()

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
