"""The ends that a plan sets itself: for the whole rollout, for each server to follow the last, for an approval."""

from collections.abc import Callable
from dataclasses import dataclass

from temporalio import workflow

from kitsune.models.durations import format_duration
from kitsune.models.orders import Gate
from kitsune.models.progress import Phase
from kitsune.rollout.batches import Batch
from kitsune.rollout.gates import gate_after
from kitsune.workflows.clock import wait_active
from kitsune.workflows.state import RolloutState


@dataclass
class Deadlines:
    """Waits that stop a rollout when nobody ends them in time.

    Attributes:
        stop: Stops the rollout, for a reason.
        tell: Says that something has changed that people see.
    """

    state: RolloutState
    stop: Callable[[str], None]
    tell: Callable[[], None]

    async def watch_deadline(self) -> None:
        """Stop the rollout when it has been active for longer than its plan allows."""
        state = self.state
        deadline = state.plan.deadline
        if deadline is None:
            return
        if not await wait_active(state, self._done, patience=deadline, summary="deadline"):
            self.stop(f"not done within its deadline of {format_duration(deadline)}")

    async def watch_progress(self) -> None:
        """Stop the rollout when no server has ended for too long while some are at work."""
        state = self.state
        patience = state.plan.rollout_strategy.progress_deadline
        if patience is None:
            return
        while not self._done():
            await workflow.wait_condition(lambda: self._done() or self._working())
            ended = len(state.ledger.statuses)

            def moved(ended: int = ended) -> bool:
                return self._done() or len(state.ledger.statuses) != ended or not self._working()

            if not await wait_active(state, moved, patience=patience, summary="progress deadline"):
                self.stop(f"no server has ended for {format_duration(patience)}")

    async def pass_gate(self, batch: Batch) -> None:
        """Wait behind a batch until somebody lets the next one start, where the plan asks for that."""
        state, strategy = self.state, self.state.plan.rollout_strategy
        gate = gate_after(batch, state.ledger.batches, approval=strategy.approval)
        if gate is None or state.stopped:
            return
        patience = strategy.approval_timeout
        state.phase = Phase.APPROVAL
        state.gate = Gate(id=gate, opened_at=workflow.now())
        if patience is not None:
            state.gate_closes = state.clock.elapsed(workflow.now()) + patience
        self.tell()

        def settled() -> bool:
            return gate in state.opened or state.stopped

        if patience is None:
            await workflow.wait_condition(settled)
        elif not await wait_active(state, settled, patience=patience, summary=f"approve {gate}"):
            self.stop(f"nobody approved {gate} within {format_duration(patience)}")
        state.gate = state.gate_closes = None
        self.tell()

    def _done(self) -> bool:
        return self.state.stopped or self.state.is_over

    def _working(self) -> bool:
        ledger = self.state.ledger
        return len(ledger.in_flight) > len(ledger.held)
