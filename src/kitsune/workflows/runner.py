"""Runs batches of servers, each in a child workflow of its own."""

from collections.abc import Callable
from typing import Protocol

from temporalio import workflow

from kitsune import names
from kitsune.models.problems import Problem
from kitsune.models.progress import Phase
from kitsune.models.requests import Decision
from kitsune.rollout.batches import Batch
from kitsune.workflows.bugs import watched
from kitsune.workflows.children import Children
from kitsune.workflows.clock import next_change, until_resumed
from kitsune.workflows.preflight import Preflight
from kitsune.workflows.state import RolloutState
from kitsune.workflows.turns import Turns
from kitsune.workflows.undoing import Undoing


class Runner(Protocol):
    """What runs a rollout's servers: directly, or through shards."""

    async def ask_all(self) -> list[Problem]:
        """Ask every server whether it is there and can run the plan; return why the plan is refused, if it is."""

    async def run_batch(self, batch: Batch) -> None:
        """Run the plan on a batch, until all of it has ended and nothing more of it may start."""

    async def run_rest(self) -> None:
        """Wait for servers that were left behind by their batches, because they were away."""

    def goes_on_after(self, batch: Batch) -> bool:
        """Return whether what runs a batch waits behind it, and starts the next one, by itself."""

    async def undo(self) -> None:
        """Undo what has to be undone, and end everything."""

    def undo_more(self) -> None:
        """Take an operator's wish to undo more, while some is undone already."""

    def close(self) -> None:
        """End what only looks on."""

    def obey_stop(self) -> None:
        """Let nothing more start, and end what runs where the plan or an operator says so."""

    def pause(self) -> None:
        """Hold what runs; the state says whether servers in flight may finish."""

    def resume(self) -> None:
        """Go on."""

    def decide(self, server: str, decision: Decision) -> None:
        """Tell a held server what becomes of it."""

    def limits_changed(self) -> None:
        """Obey new limits; the books hold them."""


class DirectRunner:
    """Runs servers as children of this workflow."""

    def __init__(
        self,
        state: RolloutState,
        *,
        tell: Callable[[], None],
        break_with: Callable[[BaseException], None],
    ) -> None:
        """Take a rollout.

        Args:
            state: What is known of it.
            tell: Called when something has changed that people may want to see.
            break_with: Called with a bug of ours.
        """
        self._state = state
        self._tell = tell
        self._break_with = break_with
        self._preflight = Preflight(state)
        self._children = Children(state, break_with)
        self._turns = Turns(state, self._children, self._preflight, self.obey_stop)

    async def ask_all(self) -> list[Problem]:
        """Ask every server."""
        await self.ask()
        return self._preflight.conclude()

    async def ask(self) -> Preflight:
        """Ask every server, and return what was found, not yet put into words."""
        await self._preflight.ask_all()
        return self._preflight

    async def run_batch(self, batch: Batch) -> None:
        """Run a batch."""
        state = self._state
        if state.paused:
            await until_resumed(state)
        if state.stopped:
            return
        await self._preflight.ask_again(batch.servers)
        state.phase = Phase.RUNNING
        self._tell()
        while not state.ledger.has_ended(batch):
            for server in [] if state.paused else state.ledger.startable(batch):
                state.ledger.start(server)
                watched(self._turns.run(server), self._break_with)
            await next_change(state)
            self._tell()

    async def run_rest(self) -> None:
        """Wait for servers that were left behind by their batches."""
        while self._state.ledger.in_flight:
            await next_change(self._state)

    async def undo(self) -> None:
        """Undo what has to be undone."""
        state = self._state
        undoing = Undoing(state, self._children, self._preflight, self._tell)
        if undoing.is_needed:
            state.phase = Phase.ROLLING_BACK
            state.clock.resume(workflow.now())  # an undo is never held
            self._tell()
            await undoing.run()

    def goes_on_after(self, batch: Batch) -> bool:
        """Return False: each batch is started by whoever owns this runner."""
        del batch
        return False

    def undo_more(self) -> None:
        """Do nothing: what is left to undo is asked anew all the time."""

    def close(self) -> None:
        """End the watch; nothing is in flight any more."""
        self._children.close()

    def obey_stop(self) -> None:
        """Stop asking, waiting and starting; cancel what runs where that is wanted."""
        self._preflight.cancel()
        self._children.stop_waiting()
        if self._state.cancels:
            self._children.cancel_running()

    def pause(self) -> None:
        """Let servers that run hold before their next step, unless they may finish."""
        if not self._state.drain:
            self._children.tell_all(names.PAUSE)

    def resume(self) -> None:
        """Let them go on."""
        self._children.tell_all(names.RESUME)

    def decide(self, server: str, decision: Decision) -> None:
        """Tell a held server what becomes of it."""
        self._children.decide(server, decision)

    def limits_changed(self) -> None:
        """Do nothing: the books are asked before each start."""
