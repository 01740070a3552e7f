"""The plan on one server; runs on the server's own queue."""

from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from kitsune import names
from kitsune.models.requests import ServerRequest
from kitsune.models.results import ServerResult, ServerStatus, StepOutcome, json_of
from kitsune.rollout.bounds import fit_server_result
from kitsune.rollout.undo import how_undone
from kitsune.workflows.steps import run_step, undo_steps, with_steps


@workflow.defn(name=names.SERVER_EXECUTION_WORKFLOW)
class ServerExecutionWorkflow:
    """Run the steps in order; undo them where a required one fails."""

    @workflow.run
    async def run(self, request: ServerRequest) -> ServerResult:
        """Return the result of a server on which the plan succeeded.

        Raises:
            ApplicationError: `ServerFailed` or `ServerCancelled`, with the ServerResult as its detail.
        """
        started_at = workflow.now()
        outcomes: list[StepOutcome] = []
        request = await with_steps(request)
        status = await _run_steps(request, outcomes)
        broken = next((outcome for outcome in reversed(outcomes) if not outcome.success), None)
        error = (
            f"step {broken.name!r}: {broken.error}"
            if broken and status is ServerStatus.FAILED
            else None
        )
        if status is ServerStatus.FAILED and request.undo_on_failure:
            outcomes = await undo_steps(request, outcomes)
        result = _result(request, outcomes, status=status, error=error, started_at=started_at)
        if status is ServerStatus.SUCCEEDED:
            return result
        kind = (
            names.FAILURE_SERVER_FAILED
            if status is ServerStatus.FAILED
            else names.FAILURE_SERVER_CANCELLED
        )
        raise ApplicationError(
            result.error or status.value, json_of(result), type=kind, non_retryable=True
        )


async def _run_steps(request: ServerRequest, outcomes: list[StepOutcome]) -> ServerStatus:
    """Run steps until one ends the plan here; every step that started gets its outcome appended."""
    for step in request.steps:
        if workflow.cancellation_reason() is not None:
            return ServerStatus.CANCELLED
        _describe(request, f"step {step.index + 1} of {len(request.steps)}: {step.name}")
        outcome = await run_step(request, step)
        outcomes.append(outcome)
        if outcome.status == "cancelled":
            return ServerStatus.CANCELLED
        if not outcome.success and step.stops_server:
            return ServerStatus.FAILED
    return ServerStatus.SUCCEEDED


def _result(
    request: ServerRequest,
    outcomes: list[StepOutcome],
    *,
    status: ServerStatus,
    error: str | None,
    started_at: datetime,
) -> ServerResult:
    undo = how_undone(outcomes)
    result = ServerResult(
        server_id=request.server_id,
        success=status is ServerStatus.SUCCEEDED,
        error=error,
        steps_executed=outcomes,
        status=status,
        rolled_back=undo.rolled_back,
        rollback_failed=undo.rollback_failed,
        started_at=started_at,
        ended_at=workflow.now(),
    )
    return fit_server_result(result, request.result_limit)


def _describe(request: ServerRequest, doing: str) -> None:
    workflow.set_current_details(
        f"**{request.server_id}**: {doing}\n\nrollout `{request.rollout_id}`"
    )
