"""What a rollout did on one server, step by step, while it goes on and after: from the server's own workflow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import ValidationError
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionDescription
from temporalio.service import RPCError, RPCStatusCode

from kitsune import names
from kitsune.activities.step_events import local_step
from kitsune.models.base import WireModel
from kitsune.models.requests import ServerRequest
from kitsune.models.results import ServerResult, StepOutcome

_TIMEOUT = timedelta(seconds=5)
#: Later rollouts on the same server that are looked past.
_RUNS = 20
_STREAMS = ("stdout", "stderr", "message")


@dataclass(frozen=True)
class StepAtWork:
    """The step that runs.

    Attributes:
        delivery: How often Temporal has handed it out, from 1.
        last_failure: Why the delivery before did not end it; empty where there was none.
        said: The last lines of each stream, as the step's heartbeat told.
        undoing: It is being undone.
    """

    name: str
    index: int
    type: str
    started_at: datetime | None
    delivery: int = 1
    last_failure: str = ""
    said: Mapping[str, str] = field(default_factory=dict)
    undoing: bool = False


@dataclass(frozen=True)
class ServerLook:
    """What a rollout did on one server so far.

    Attributes:
        steps: Those that have ended, in order; of one that was retried, the last time.
        result: How it all ended; None while it goes on.
    """

    steps: tuple[StepOutcome, ...] = ()
    at_work: StepAtWork | None = None
    result: ServerResult | None = None


async def server_look(client: Client, *, rollout_id: str, server_id: str) -> ServerLook | None:
    """Return what a rollout did on a server, or None where it has not begun there or Temporal has forgotten it.

    Raises:
        RPCError: Temporal is away.
    """
    run = await _run_of(client, rollout_id=rollout_id, server_id=server_id)
    if run is None:
        return None
    handle = client.get_workflow_handle(run.id, run_id=run.run_id)
    events = [event async for event in handle.fetch_history_events(rpc_timeout=_TIMEOUT)]
    result = await _result(client, events[-1]) if events else None
    if result is not None:
        return ServerLook(tuple(result.steps_executed), result=result)
    pending = run.raw_description.pending_activities if _is_described(run) else []
    return await _so_far(client, events, next(iter(pending), None))


def _is_described(run: WorkflowExecution) -> bool:
    return isinstance(run, WorkflowExecutionDescription)


async def _run_of(client: Client, *, rollout_id: str, server_id: str) -> Any:
    """Return the newest execution on a server that belongs to a rollout."""
    guard = names.server_execution_id(server_id)
    try:
        latest = await client.get_workflow_handle(guard).describe(rpc_timeout=_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    if _belongs(latest, rollout_id):
        return latest
    quoted = guard.replace("'", "''")
    runs = client.list_workflows(f"WorkflowId = '{quoted}'", limit=_RUNS)
    async for run in runs:
        if _belongs(run, rollout_id):
            return run
    return None


def _belongs(run: WorkflowExecution, rollout_id: str) -> bool:
    return rollout_id in (run.root_id, run.parent_id)


async def _result(client: Client, last: HistoryEvent) -> ServerResult | None:
    """Return the server's result, where this event closes its workflow with one."""
    if last.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
        payloads = last.workflow_execution_completed_event_attributes.result.payloads
    elif last.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
        failure = last.workflow_execution_failed_event_attributes.failure
        payloads = failure.application_failure_info.details.payloads
    else:
        return None
    return _as(ServerResult, await _first(client, payloads))


async def _so_far(
    client: Client, events: list[HistoryEvent], pending: PendingActivityInfo | None
) -> ServerLook:
    begun: dict[int, dict[str, Any]] = {}
    by_activity: dict[str, int] = {}
    ended = await _before(client, events)
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            scheduled = event.activity_task_scheduled_event_attributes
            request = await _first(client, scheduled.input.payloads)
            if isinstance(request, dict) and isinstance(request.get("step"), dict):
                by_activity[scheduled.activity_id] = event.event_id
                undoing = scheduled.activity_type.name == names.ROLLBACK_STEP
                begun[event.event_id] = {"undoing": undoing, **request["step"]}
        elif outcome := _as(StepOutcome, await _first(client, _told_of_step(event, begun))):
            ended[outcome.index] = outcome
    steps = tuple(outcome for _, outcome in sorted(ended.items()))
    known = begun.get(by_activity.get(pending.activity_id, 0)) if pending else None
    if pending is None or known is None:
        return ServerLook(steps)
    return ServerLook(steps, at_work=await _at_work(client, known, pending))


def _told_of_step(event: HistoryEvent, begun: Mapping[int, Mapping[str, Any]]) -> Any:
    """Return the payloads of the outcome that an event tells of an executed step, or nothing."""
    if local_step(event) == names.EXECUTE_STEP:
        marker = event.marker_recorded_event_attributes
        failed = marker.failure.application_failure_info.details
        return marker.details["result"].payloads or failed.payloads
    if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
        completed = event.activity_task_completed_event_attributes
        scheduled, told = completed.scheduled_event_id, completed.result
    elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
        failure = event.activity_task_failed_event_attributes
        scheduled = failure.scheduled_event_id
        told = failure.failure.application_failure_info.details
    else:
        return None
    step = begun.get(scheduled)
    return told.payloads if step and not step["undoing"] else None


async def _before(client: Client, events: list[HistoryEvent]) -> dict[int, StepOutcome]:
    """Return how the steps ended that an earlier run of the workflow has handed on."""
    if not events:
        return {}
    started = events[0].workflow_execution_started_event_attributes
    request = _as(ServerRequest, await _first(client, started.input.payloads))
    carried = request.course.outcomes if request and request.course else []
    outcomes = [outcome for each in carried if (outcome := _as(StepOutcome, each))]
    return {outcome.index: outcome for outcome in outcomes}


async def _at_work(
    client: Client, step: Mapping[str, Any], pending: PendingActivityInfo
) -> StepAtWork:
    details = await _first(client, pending.heartbeat_details.payloads)
    said = details if isinstance(details, dict) else {}
    started = pending.last_started_time if pending.HasField("last_started_time") else None
    return StepAtWork(
        name=str(step.get("name", "")),
        index=int(step.get("index", 0)),
        type=str(step.get("type", "")),
        started_at=started.ToDatetime(tzinfo=UTC) if started else None,
        delivery=max(1, pending.attempt),
        last_failure=pending.last_failure.message if pending.HasField("last_failure") else "",
        said={key: text for key in _STREAMS if (text := _text(said.get(key)))},
        undoing=bool(step.get("undoing")),
    )


def _text(said: Any) -> str:
    text = said.get("text") if isinstance(said, dict) else said
    return text if isinstance(text, str) else ""


async def _first(client: Client, payloads: Any) -> Any:
    """Return the first of some payloads as plain data, or None."""
    if not payloads:
        return None
    (value,) = await client.data_converter.decode([payloads[0]])
    return value


ModelT = TypeVar("ModelT", bound=WireModel)


def _as(model: type[ModelT], value: Any) -> ModelT | None:
    try:
        return model.model_validate(value)
    except ValidationError:
        return None
