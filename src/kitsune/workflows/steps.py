"""Running and undoing steps from a server's workflow."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    FailureError,
)
from temporalio.workflow import ActivityCancellationType, ActivityHandle

from kitsune import names
from kitsune.models.durations import LONGEST, format_duration, parse_duration
from kitsune.models.requests import (
    LoadRequest,
    ResolvedStep,
    ServerRequest,
    StepList,
    StepRequest,
    UndoOutcome,
)
from kitsune.models.results import StepOutcome
from kitsune.rollout.steps import EXECUTIONS_WHERE_IDEMPOTENT, undo_generation

#: The agent enforces a step's timeout itself; Temporal's only ends a delivery that nobody watches any more.
_SLACK = timedelta(minutes=10)
#: How long an operation may be handed out again because agents or networks were lost.
_DELIVERIES = timedelta(days=1)
#: How long reading a plan may take.
_LOADING = timedelta(minutes=1)
#: So many steps in a row may be local activities, less one.
_LOCAL_IN_A_ROW = 8
#: A quick step that is tried again later than this is waited for by a timer, not by a workflow task.
_LOCAL_RETRY = timedelta(milliseconds=500)
_CANCELLED = "cancelled while it ran"
#: What the undoing of a step amounts to that was executed in several generations.
_UNDONE_WORST_FIRST = {
    "rollbackFailed": 0,
    "rolledBack": 1,
    "cannotBeUndone": 2,
    "nothingToUndo": 3,
}


async def with_steps(request: ServerRequest) -> ServerRequest:
    """Return a request that holds its steps, read on the server where they were not sent along."""
    if request.plan is None:
        return request
    listed: StepList = await workflow.execute_activity(
        names.LOAD_STEPS,
        LoadRequest(plan=request.plan),
        task_queue=names.server_queue(request.server_id),
        result_type=StepList,
        start_to_close_timeout=_LOADING,
        schedule_to_close_timeout=_LOADING * 10,
        # The SDK's word for an activity type that an older worker lacks.
        retry_policy=RetryPolicy(non_retryable_error_types=["NotFoundError"]),
        summary="read the plan",
    )
    return request.model_copy(update={"steps": listed.steps})


async def run_step(
    request: ServerRequest, step: ResolvedStep, *, generation: int = 0
) -> StepOutcome:
    """Run one step and return its outcome, whatever it is.

    A higher generation is the step once more, on an operator's word: another operation for the agent.
    A cancelled workflow cancels the step, waits for its end, and gets an outcome of status `cancelled`
    or the step's own outcome where it was faster.
    """
    if step.type == names.STEP_SLEEP:
        return (await _sleep(step)).model_copy(update={"generation": generation})
    generation += request.generation
    started_at = workflow.now()
    local = runs_locally(request, step)
    handle = _start(
        names.EXECUTE_STEP,
        request,
        step,
        result_type=StepOutcome,
        generation=generation,
        local=local,
    )
    try:
        outcome: StepOutcome = await _end_of(handle, cancel=not local)
    except FailureError as error:
        cancelled = workflow.cancellation_reason() is not None
        outcome = _outcome_of(error, step, cancelled=cancelled)
    return outcome.model_copy(
        update={
            "started_at": outcome.started_at or started_at,
            "ended_at": outcome.ended_at or workflow.now(),
            "generation": generation,
        }
    )


async def undo_steps(request: ServerRequest, outcomes: Sequence[StepOutcome]) -> list[StepOutcome]:
    """Undo steps, newest first, and return their outcomes in the old order, each with how its undo went.

    One undo that fails does not stop the others. A cancelled workflow goes on: half undone is worse.
    """
    undone = [await _undo(request, outcome) for outcome in reversed(outcomes)]
    return undone[::-1]


async def _undo(request: ServerRequest, outcome: StepOutcome) -> StepOutcome:
    step = request.steps[outcome.index]
    if step.type == names.STEP_SLEEP:
        return outcome.model_copy(update={"undone": "nothingToUndo"})
    undone: list[StepOutcome] = []
    for generation in range(outcome.generation, -1, -1):
        begun = outcome.executions > 0 and generation == outcome.generation
        handle = _start(
            names.ROLLBACK_STEP,
            request,
            step,
            result_type=UndoOutcome,
            begun=begun,
            generation=generation,
        )
        try:
            report: UndoOutcome = await _end_of(handle, cancel=False)
        except FailureError as error:
            failed = _outcome_of(error, step, cancelled=False)
            update = {"undone": "rollbackFailed", "undo_error": failed.error}
        else:
            update = {"undone": report.undone, "undo_error": None}
        undone.append(outcome.model_copy(update=update))
    return min(undone, key=lambda tried: _UNDONE_WORST_FIRST.get(tried.undone or "", 0))


def runs_locally(request: ServerRequest, step: ResolvedStep) -> bool:
    """Return whether a step is run by a local activity: within the workflow task that asks for it.

    Nothing reaches the workflow meanwhile, no pause and no abort; so after some such steps comes one that is not.
    What such a task has done is lost to the workflow where Temporal does not take its end; the agent's journal knows
    it, so whether such a step has begun is only ever asked there, in a cancelled workflow too. An undo is never
    local: it begins when the workflow is sure of what it undoes.
    """
    return step.type in request.quick_types and step.index % _LOCAL_IN_A_ROW != _LOCAL_IN_A_ROW - 1


def _start(
    activity: str,
    request: ServerRequest,
    step: ResolvedStep,
    *,
    result_type: type,
    generation: int,
    local: bool = False,
    begun: bool = False,
) -> ActivityHandle[Any]:
    executions = step.maximum_attempts or EXECUTIONS_WHERE_IDEMPOTENT
    once = step.timeout + _SLACK
    executing = activity == names.EXECUTE_STEP
    undoing = "" if executing else "undo "
    given = StepRequest(
        rollout_id=request.rollout_id,
        run_id=request.run_id,
        server_id=request.server_id,
        step=step,
        generation=generation,
        output_limit=request.output_limit,
        begun=begun,
        refuse_conflicts=request.refuse_conflicts,
        rollback_generation=undo_generation(request.rollback_generation, generation),
        plan=request.plan if step.params_in_plan else None,
        cancelled=executing and workflow.cancellation_reason() is not None,
    )
    in_all = min(executions * (once + step.maximum_interval) + _DELIVERIES, LONGEST)
    retry_policy = RetryPolicy(
        initial_interval=step.initial_interval,
        backoff_coefficient=step.backoff_coefficient,
        maximum_interval=max(step.maximum_interval, step.initial_interval),
    )
    summary = f"{undoing}{step.index + 1}/{len(request.steps)} {step.name} ({step.type})"[:200]
    if local:
        return workflow.start_local_activity(
            activity,
            given,
            result_type=result_type,
            start_to_close_timeout=once,
            schedule_to_close_timeout=in_all,
            retry_policy=retry_policy,
            local_retry_threshold=_LOCAL_RETRY,
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=summary,
        )
    return workflow.start_activity(
        activity,
        given,
        task_queue=names.server_queue(request.server_id),
        result_type=result_type,
        start_to_close_timeout=once,
        schedule_to_close_timeout=in_all,
        heartbeat_timeout=request.heartbeat_timeout,
        retry_policy=retry_policy,
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        summary=summary,
    )


async def _end_of(handle: ActivityHandle[Any], *, cancel: bool) -> Any:
    """Return an activity's result; a cancelled workflow cancels the activity at most, and still waits for it."""
    while not handle.done():
        try:
            await workflow.wait_condition(handle.done)
        except asyncio.CancelledError:
            if cancel:
                handle.cancel()
    return handle.result()


async def _sleep(step: ResolvedStep) -> StepOutcome:
    started_at = workflow.now()
    duration = parse_duration(step.params.get("duration"))
    try:
        await workflow.sleep(duration, summary=f"{step.name} ({format_duration(duration)})"[:200])
        error, status = None, "succeeded"
    except asyncio.CancelledError:
        error, status = _CANCELLED, "cancelled"
    return StepOutcome(
        name=step.name,
        success=error is None,
        error=error,
        type=step.type,
        index=step.index,
        status=status,
        started_at=started_at,
        ended_at=workflow.now(),
        outputs={"slept": duration.total_seconds()} if error is None else {},
    )


def _outcome_of(error: FailureError, step: ResolvedStep, *, cancelled: bool) -> StepOutcome:
    cause = error.cause if isinstance(error, ActivityError) else error  # local ones come bare
    if (
        isinstance(cause, ApplicationError)
        and cause.type == names.FAILURE_STEP_FAILED
        and cause.details
    ):
        return StepOutcome.model_validate(cause.details[0])
    text = _text_of(cause or error)
    if cancelled:
        text = _CANCELLED if isinstance(cause, CancelledError) else f"{_CANCELLED} ({text})"
    return StepOutcome(
        name=step.name,
        success=False,
        error=text,
        type=step.type,
        index=step.index,
        status="cancelled" if cancelled else "failed",
        executions=0,  # as far as anybody knows
    )


def _text_of(error: BaseException) -> str:
    message = getattr(error, "message", None) or str(error)
    return f"{type(error).__name__}: {message}"
