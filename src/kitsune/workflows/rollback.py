"""Undo what a rollout did on one server; runs on the server's own queue."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from kitsune import names
from kitsune.models.requests import ResolvedStep, ServerRequest
from kitsune.models.results import ServerResult, ServerStatus, StepOutcome, json_of
from kitsune.rollout.bounds import fit_server_result
from kitsune.rollout.undo import how_undone
from kitsune.workflows.steps import undo_steps, with_steps


@workflow.defn(name=names.SERVER_ROLLBACK_WORKFLOW)
class ServerRollbackWorkflow:
    """Undo every step that the server's journal says has started, newest first."""

    @workflow.run
    async def run(self, request: ServerRequest) -> ServerResult:
        """Return how each step was undone.

        Raises:
            ApplicationError: `RollbackFailed`, with the ServerResult as its detail.
        """
        started_at = workflow.now()
        workflow.set_current_details(
            f"**{request.server_id}**: rolling back `{request.rollout_id}`"
        )
        request = await with_steps(request)
        outcomes = await undo_steps(
            request,
            [
                _before(
                    step,
                    begun=step.index in request.begun,
                    generation=request.generations.get(step.index, 0),
                )
                for step in request.steps[request.first_step :]
            ],
        )
        undo = how_undone(outcomes)
        result = ServerResult(
            server_id=request.server_id,
            success=not undo.rollback_failed,
            error=undo.error,
            steps_executed=outcomes,
            status=ServerStatus.SUCCEEDED,
            rolled_back=undo.rolled_back,
            rollback_failed=undo.rollback_failed,
            started_at=started_at,
            ended_at=workflow.now(),
        )
        result = fit_server_result(result, request.result_limit)
        if undo.rollback_failed:
            raise ApplicationError(
                result.error or "rollback failed",
                json_of(result),
                type=names.FAILURE_ROLLBACK_FAILED,
                non_retryable=True,
            )
        return result


def _before(step: ResolvedStep, *, begun: bool, generation: int) -> StepOutcome:
    return StepOutcome(
        name=step.name,
        success=True,
        type=step.type,
        index=step.index,
        executions=int(begun),
        generation=generation,
    )
