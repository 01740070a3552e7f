"""Activities on the orchestrator's queue: what needs handlers, a client, or patience."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.api.enums.v1 import EventType, PendingActivityState, PendingWorkflowTaskState
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError, RPCStatusCode

from kitsune import names
from kitsune.activities.step_events import local_step, summary_of
from kitsune.handlers.registry import HandlerRegistry
from kitsune.handlers.validation import check_arguments
from kitsune.models.durations import format_duration
from kitsune.models.notices import WebhookInterest
from kitsune.models.plan import Plan
from kitsune.models.requests import (
    AwayServer,
    HolderReport,
    HolderRequest,
    TerminateRequest,
    ValidationReport,
    ValidationRequest,
    WatchReport,
    WatchRequest,
)

#: Longest pause between two looks at the servers in flight, and between two looks at a taken server.
_LONGEST_PAUSE = timedelta(seconds=15)
_SHORTEST_PAUSE = timedelta(seconds=1)
#: However long a step says that its restart may take, in seconds: a day.
_LONGEST_RESTART = 86_400.0
_SERVERS = names.server_execution_id("")
#: Whether a server has taken a workflow task and not said how that ended: one that timed out has been taken.
_TASK_EVENTS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
    }
)
_MAY_HAVE_STARTED = "a quick step, or none"
#: Servers looked at side by side.
_LOOKS_AT_ONCE = 20


class OrchestratorActivities:
    """The activities of the orchestration worker."""

    def __init__(
        self,
        client: Client,
        registry: HandlerRegistry,
        *,
        webhooks: Sequence[WebhookInterest] = (),
    ) -> None:
        self._client = client
        self._registry = registry
        self._webhooks = list(webhooks)

    @property
    def all(self) -> list[Callable[..., Any]]:
        """Every activity, for the worker."""
        return [
            self.validate_plan,
            self.watch_servers,
            self.await_server_free,
            self.terminate_server,
        ]

    @activity.defn(name=names.VALIDATE_PLAN)
    async def validate_plan(self, request: ValidationRequest) -> ValidationReport:
        """Check what a rollout was started with, by the same rules as `kitsune validate`."""
        checked = check_arguments(request.arguments, self._registry)
        return ValidationReport(
            problems=list(checked.problems),
            warnings=list(checked.warnings),
            unknown_types=list(checked.unknown_types),
            webhooks=self._webhooks,
            quick_types=self._quick_types(checked.plan),
        )

    @activity.defn(name=names.WATCH_SERVERS)
    async def watch_servers(self, request: WatchRequest) -> WatchReport:
        """Look after a rollout's servers in flight until one has left a task untaken for too long.

        A server is away when a task that Temporal holds for it waits longer than the timeout. Nothing is asked of the
        server itself, and its clock plays no part. One that restarts its host for a step has that step's time.
        """
        pause = max(_SHORTEST_PAUSE, min(_LONGEST_PAUSE, request.timeout / 4))
        failing: dict[str, datetime] = {}
        while True:
            activity.heartbeat()
            away = await self._away(request, failing)
            if away:
                return WatchReport(away=away)
            await _pause(pause)

    @activity.defn(name=names.AWAIT_SERVER_FREE)
    async def await_server_free(self, request: HolderRequest) -> HolderReport:
        """Wait until no rollout holds a server, or say which one still does."""
        pause = _SHORTEST_PAUSE
        clock = asyncio.get_running_loop().time
        deadline = clock() + request.timeout.total_seconds()
        while True:
            activity.heartbeat()
            holder = await self._holder(request.server_id)
            left = timedelta(seconds=deadline - clock())
            if holder is None or left <= timedelta(0):
                return HolderReport(holder=holder)
            await _pause(min(left, pause))
            pause = min(_LONGEST_PAUSE, pause * 2)

    @activity.defn(name=names.TERMINATE_SERVER)
    async def terminate_server(self, request: TerminateRequest) -> bool:
        """Close the child workflow of a server whose agent is away; nobody else can.

        Returns:
            Whether it was closed: not where the agent has taken its task meanwhile, nor where it is another's.
        """
        handle = self._client.get_workflow_handle(names.server_execution_id(request.server_id))
        try:
            description = await handle.describe()
            if description.parent_id != request.rollout_id:
                return False
            if not _still_away(description.raw_description, request):
                return False
            held = self._client.get_workflow_handle(handle.id, run_id=description.run_id)
            await held.terminate(reason=request.reason)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True

    def _quick_types(self, plan: Plan | None) -> list[str]:
        types = {step.type for step in plan.steps} if plan else set()
        known = sorted(types & set(self._registry.types))
        return [each for each in known if self._registry.require(each).quick]

    async def _holder(self, server_id: str) -> str | None:
        handle = self._client.get_workflow_handle(names.server_execution_id(server_id))
        try:
            description = await handle.describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        if description.close_time is not None:
            return None
        # A server of a large rollout is held by a shard; its root is the rollout.
        info = description.raw_description.workflow_execution_info
        return info.root_execution.workflow_id or description.parent_id or description.id

    async def _away(self, request: WatchRequest, failing: dict[str, datetime]) -> list[AwayServer]:
        rollout = self._client.get_workflow_handle(request.rollout_id)
        description = await rollout.describe()
        children = [
            child.workflow_id
            for child in description.raw_description.pending_children
            if child.workflow_id.startswith(_SERVERS)  # others are messages, and nobody's server
        ]
        gate = asyncio.Semaphore(_LOOKS_AT_ONCE)

        async def look(workflow_id: str) -> AwayServer | None:
            async with gate:
                return await self._look(workflow_id, timeout=request.timeout, failing=failing)

        found = await asyncio.gather(*(look(workflow_id) for workflow_id in children))
        return [server for server in found if server is not None]

    async def _look(
        self, workflow_id: str, *, timeout: timedelta, failing: dict[str, datetime]
    ) -> AwayServer | None:
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            raw = (await handle.describe()).raw_description
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        since = _untaken_since(raw)
        fails = _fails(raw)
        if fails:  # each attempt looks like a new task: remember when the first was seen
            since = failing.setdefault(workflow_id, since or datetime.now(UTC))
        else:
            failing.pop(workflow_id, None)
        silent = datetime.now(UTC) - since if since is not None else timedelta(0)
        if since is None or silent < timeout or await self._restarts(raw):
            return None
        step = await self._started_step(workflow_id, raw)
        what = f"step {step!r} had started" if step else "no step had started"
        seen = "its local worker fails at our workflow, and has done so" if fails else "no contact"
        lasted = format_duration(timedelta(seconds=round(silent.total_seconds())))
        return AwayServer(
            server_id=raw.workflow_execution_info.task_queue,
            step_started=step is not None,
            detail=f"{seen} for {lasted}; {what}",
            failing=fails,
            since=since,
        )

    async def _restarts(self, raw: DescribeWorkflowExecutionResponse) -> bool:
        """Return whether a server has said that its host restarts, and the time that the step has for it is not over.

        Counted by Temporal's clock, from when it said so.
        """
        for pending in raw.pending_activities:
            details = await self._told(pending)
            if details.get("rebooting") is not True:
                continue
            asked = details.get("seconds")
            seconds = asked if isinstance(asked, int | float) else 0
            left = timedelta(seconds=min(seconds, _LONGEST_RESTART))
            said = pending.last_heartbeat_time.ToDatetime(tzinfo=UTC)
            if datetime.now(UTC) < said + left:
                return True
        return False

    async def _told(self, pending: PendingActivityInfo) -> dict[str, Any]:
        payloads = pending.heartbeat_details.payloads
        try:
            values = await self._client.data_converter.decode(payloads) if payloads else []
        except Exception:  # noqa: BLE001 - what a server says in a foreign form says nothing about restarts
            return {}
        return values[0] if values and isinstance(values[0], dict) else {}

    async def _started_step(
        self, workflow_id: str, raw: DescribeWorkflowExecutionResponse
    ) -> str | None:
        """Return the last step that an agent took up, or None where it took none."""
        taken = {
            pending.activity_id
            for pending in raw.pending_activities
            if pending.state != PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
            or pending.attempt > 1
        }
        last: str | None = None
        names_of: dict[int, str] = {}
        quick = taken_task = False
        async for event in self._client.get_workflow_handle(workflow_id).fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                quick = await self._has_quick_steps(event)
            elif event.event_type in _TASK_EVENTS:
                taken_task = event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
            elif local_step(event):
                last = summary_of(event)
            elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                names_of[event.event_id] = summary_of(event)
                if event.activity_task_scheduled_event_attributes.activity_id in taken:
                    last = names_of[event.event_id]
            elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                attributes = event.activity_task_started_event_attributes
                last = names_of.get(attributes.scheduled_event_id, "a step")
        # A local activity is told with the end of its workflow task: of one that has none, nobody knows.
        return last or (_MAY_HAVE_STARTED if quick and taken_task else None)

    async def _has_quick_steps(self, started: HistoryEvent) -> bool:
        payloads = started.workflow_execution_started_event_attributes.input.payloads
        values = await self._client.data_converter.decode(payloads) if payloads else []
        request = values[0] if values and isinstance(values[0], dict) else {}
        return bool(request.get("quickTypes"))


def _fails(raw: DescribeWorkflowExecutionResponse) -> bool:
    """Return whether a server's worker takes our workflow's tasks and fails at them, again and again."""
    return raw.pending_workflow_task.attempt > 1


def _still_away(raw: DescribeWorkflowExecutionResponse, request: TerminateRequest) -> bool:
    if request.failing:
        return _fails(raw)
    since = _untaken_since(raw)
    return since is not None and since <= request.since


def _untaken_since(raw: DescribeWorkflowExecutionResponse) -> datetime | None:
    """Return since when the oldest task has been waiting for its server to take it, or None where none waits."""
    waiting = [
        pending.scheduled_time
        for pending in raw.pending_activities
        if pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    ]
    task = raw.pending_workflow_task
    if task.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED:
        original = task.HasField("original_scheduled_time")
        waiting.append(task.original_scheduled_time if original else task.scheduled_time)
    moments = [moment.ToDatetime(tzinfo=UTC) for moment in waiting if moment.seconds]
    return min(moments, default=None)


async def _pause(duration: timedelta) -> None:
    """Wait, but not for longer than this worker lives.

    Raises:
        ApplicationError: The worker stops; Temporal hands the activity to another one.
    """
    try:
        await asyncio.wait_for(activity.wait_for_worker_shutdown(), duration.total_seconds())
    except TimeoutError:
        return
    raise ApplicationError(
        "the orchestration worker stops; the next one goes on",
        category=ApplicationErrorCategory.BENIGN,
    )
