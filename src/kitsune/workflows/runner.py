"""Runs batches of servers, each in a child workflow of its own."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from temporalio import workflow

from kitsune import names
from kitsune.models.problems import Problem
from kitsune.models.progress import Phase
from kitsune.models.requests import Decision
from kitsune.models.results import ServerResult, ServerStatus
from kitsune.rollout.batches import Batch
from kitsune.rollout.targets import undone_result
from kitsune.workflows.children import Children, ServerTaken, StoppedMeanwhile
from kitsune.workflows.clock import until_resumed
from kitsune.workflows.preflight import Preflight, silent
from kitsune.workflows.state import RolloutState
from kitsune.workflows.undoing import Undoing


class Runner(Protocol):
    """What runs a rollout's servers: directly, or through shards."""

    async def ask_all(self) -> list[Problem]:
        """Ask every server whether it is there and can run the plan; return why the plan is refused, if it is."""

    async def run_batch(self, batch: Batch) -> None:
        """Run the plan on a batch, until all of it has ended and nothing more of it may start."""

    async def run_rest(self) -> None:
        """Wait for servers that were left behind by their batches, because they were away."""

    async def undo(self) -> None:
        """Undo what has to be undone, and end everything."""

    def obey_stop(self) -> None:
        """Let nothing more start, and end what runs where the plan or an operator says so."""

    def pause(self) -> None:
        """Hold what runs; the state says whether servers in flight may finish."""

    def resume(self) -> None:
        """Go on."""

    def decide(self, server: str, decision: Decision) -> None:
        """Tell a held server what becomes of it."""


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
        self._children = Children(state)

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
                self._spawn(server)
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

    def _spawn(self, server: str) -> None:
        task = asyncio.create_task(self._run_server(server))
        task.add_done_callback(self._note_bug)

    def _note_bug(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._break_with(error)

    async def _run_server(self, server: str) -> None:
        state, children = self._state, self._children
        try:
            if server in state.absent and not await self._comes_back(server):
                return
            result = await children.execute(server)
            if result.status is ServerStatus.CANCELLED and not state.stopped:
                result = await self._cancelled_from_outside(result)
            state.end_server(result)
        except ServerTaken as taken:
            state.end_without_work(server, ServerStatus.FAILED, str(taken))
        except StoppedMeanwhile:
            state.end_without_work(
                server, ServerStatus.NOT_STARTED, f"not started: {state.ledger.stop_reason}"
            )
        finally:
            if state.stopped:
                state.phase = Phase.STOPPING
                self.obey_stop()

    async def _comes_back(self, server: str) -> bool:
        """Wait for a server whose agent is away; meanwhile another one takes its place.

        Raises:
            StoppedMeanwhile: The rollout stopped before it was back.
        """
        state, preflight = self._state, self._preflight
        state.ledger.aside.add(server)
        state.changes += 1
        back = await preflight.await_back(server)
        while back and not state.stopped and (state.paused or not state.ledger.has_room):
            await next_change(state)
        state.ledger.aside.discard(server)
        if state.stopped:
            raise StoppedMeanwhile
        if not back:
            state.end_without_work(server, ServerStatus.UNREACHABLE, silent(server))
        elif objections := preflight.objections(server):
            state.end_without_work(server, ServerStatus.FAILED, objections)
            return False
        return back

    async def _cancelled_from_outside(self, result: ServerResult) -> ServerResult:
        """Return the result of a server that somebody cancelled on its own: failed, and undone like one."""
        state, children = self._state, self._children
        error = "its workflow was cancelled, not by this rollout"
        result = result.model_copy(update={"status": ServerStatus.FAILED, "error": error})
        if state.plan.rollback.scope == "none" or not result.steps_executed:
            return result
        state.results[result.server_id] = result  # what is known to have begun there
        try:
            return undone_result(result, await children.roll_back(result.server_id))
        except ServerTaken as taken:
            return result.model_copy(update={"rollback_failed": True, "error": f"{error}; {taken}"})


async def next_change(state: RolloutState) -> None:
    """Wait until something has happened that may let the rollout go on."""
    seen = state.changes
    await workflow.wait_condition(lambda: state.changes != seen)
