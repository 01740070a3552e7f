"""One server of a rollout, from its turn to its end."""

from collections.abc import Callable
from dataclasses import dataclass

from kitsune.models.progress import Phase
from kitsune.models.results import ServerResult, ServerStatus
from kitsune.rollout.targets import undone_result
from kitsune.workflows.children import Children, ServerTaken, StoppedMeanwhile
from kitsune.workflows.clock import next_change
from kitsune.workflows.preflight import Preflight, silent
from kitsune.workflows.state import RolloutState


@dataclass(frozen=True)
class Turns:
    """Takes servers through a rollout, one by one.

    Attributes:
        obey_stop: Ends what runs where the rollout has been stopped.
    """

    state: RolloutState
    children: Children
    preflight: Preflight
    obey_stop: Callable[[], None]

    async def run(self, server: str) -> None:
        """Run the plan on a server whose turn has come, and note how it ended."""
        state, children = self.state, self.children
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
        state, preflight = self.state, self.preflight
        state.ledger.aside.add(server)
        state.changes += 1
        back = await preflight.await_back(server)
        while back and not state.stopped and not state.may_start:
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
        state, children = self.state, self.children
        error = "its workflow was cancelled, not by this rollout"
        result = result.model_copy(update={"status": ServerStatus.FAILED, "error": error})
        if state.plan.rollback.scope == "none" or not result.steps_executed:
            return result
        state.results[result.server_id] = result  # what is known to have begun there
        try:
            return undone_result(result, await children.roll_back(result.server_id))
        except ServerTaken as taken:
            return result.model_copy(update={"rollback_failed": True, "error": f"{error}; {taken}"})
