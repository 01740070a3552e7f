"""What the rollout tells a server's workflow while it runs: hold, go on, and what becomes of a failed step."""

import asyncio
import contextlib
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import FailureError

from kitsune import names
from kitsune.models.requests import Decision, HeldServer, ServerRequest
from kitsune.models.results import StepOutcome


@dataclass
class Guidance:
    """Waits for the rollout's word; a cancelled workflow waits for nothing."""

    paused: bool = False
    decision: Decision | None = None

    async def until_resumed(self) -> None:
        """Return when the next step may start, or the workflow is cancelled."""
        with contextlib.suppress(asyncio.CancelledError):
            while self.paused and workflow.cancellation_reason() is None:
                await workflow.wait_condition(lambda: not self.paused)

    async def decide(self, request: ServerRequest, failed: StepOutcome) -> str | None:
        """Say that a step has failed and return what becomes of it: `retry`, `skip` or `rollback`.

        None: nobody can be asked any more, because the rollout is ending or gone.
        """
        parent = workflow.info().parent
        if parent is None or workflow.cancellation_reason() is not None:
            return None
        rollout = workflow.get_external_workflow_handle(parent.workflow_id, run_id=parent.run_id)
        held = HeldServer(
            server_id=request.server_id,
            step=failed.name,
            error=failed.error,
            generation=failed.generation,
        )
        self._forget()
        try:
            await rollout.signal(names.SERVER_HELD, held)
            await workflow.wait_condition(lambda: self._answers(failed.generation))
        except (asyncio.CancelledError, FailureError):
            return None
        return self.decision.verb if self.decision else None

    def _forget(self) -> None:
        """Drop an earlier decision: it was about another step."""
        self.decision = None

    def _answers(self, generation: int) -> bool:
        return self.decision is not None and self.decision.generation == generation
