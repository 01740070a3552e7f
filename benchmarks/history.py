"""What a rollout left in Temporal: events, workflow tasks, bytes, and when its first step began."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from kitsune import names

_FLOOR_STEP = "FloorStep"
_SHARDS = {names.SHARD_WORKFLOW, "FloorFleet"}


@dataclass(frozen=True)
class Story:
    """What one workflow's history amounts to.

    Attributes:
        tasks: Workflow tasks that were completed.
        activities: Activities that were scheduled, by type.
        first_step: When a step first began; None where there was none.
        shards: Workflow ids of shards that it has started.
    """

    events: int
    bytes: int
    tasks: int
    activities: Counter[str]
    first_step: datetime | None
    shards: tuple[str, ...] = ()


def read_story(events: list[HistoryEvent]) -> Story:
    """Count what a history holds."""
    kinds = Counter(event.event_type for event in events)
    scheduled = {
        event.event_id: event.activity_task_scheduled_event_attributes.activity_type.name
        for event in events
        if event.HasField("activity_task_scheduled_event_attributes")
    }
    steps = [*_floor_steps(events, scheduled), *_told_steps(events[-1])]
    return Story(
        events=len(events),
        bytes=sum(event.ByteSize() for event in events),
        tasks=kinds[EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED],
        activities=Counter(scheduled.values()),
        first_step=min(steps, default=None),
        shards=tuple(
            event.child_workflow_execution_started_event_attributes.workflow_execution.workflow_id
            for event in events
            if event.HasField("child_workflow_execution_started_event_attributes")
            and event.child_workflow_execution_started_event_attributes.workflow_type.name
            in _SHARDS
        ),
    )


def _floor_steps(events: list[HistoryEvent], scheduled: dict[int, str]) -> Iterator[datetime]:
    """Yield when activities began that are steps of a floor."""
    for event in events:
        if event.HasField("activity_task_started_event_attributes"):
            started = event.activity_task_started_event_attributes
            if scheduled[started.scheduled_event_id] == _FLOOR_STEP:
                yield event.event_time.ToDatetime(UTC)


def _told_steps(last: HistoryEvent) -> Iterator[datetime]:
    """Yield when the steps of one of Kitsune's servers began, as its result tells: not every step is an event."""
    for payload in last.workflow_execution_completed_event_attributes.result.payloads:
        result = json.loads(payload.data or b"null")
        steps = result.get("stepsExecuted", []) if isinstance(result, dict) else []
        yield from (datetime.fromisoformat(step["startedAt"]) for step in steps)


async def story_of(client: Client, workflow_id: str) -> Story:
    """Read the newest run of a workflow."""
    handle: Any = client.get_workflow_handle(workflow_id)
    return read_story([event async for event in handle.fetch_history_events()])


async def rollout_facts(client: Client, rollout_id: str, servers: list[str]) -> dict[str, Any]:
    """Return what a rollout and these servers' workflows left, for a record; seconds are those of the clock.

    Args:
        client: Connected to where it ran.
        rollout_id: The workflow id of the rollout; its newest run is read.
        servers: Whose histories to read: all of the rollout, or some.
    """
    root = await story_of(client, rollout_id)
    shards = [await story_of(client, shard) for shard in root.shards]
    facts: dict[str, Any] = {
        "rollout_events": root.events,
        "rollout_tasks": root.tasks,
        "rollout_bytes": root.bytes,
        "shards": len(shards),
        "shard_events": sum(shard.events for shard in shards),
        "shard_tasks": sum(shard.tasks for shard in shards),
    }
    first = [story.first_step for story in (root, *shards)]
    if not root.activities[_FLOOR_STEP]:
        each = [await story_of(client, names.server_execution_id(server)) for server in servers]
        first += [story.first_step for story in each]
        facts |= {
            "server_events": median(story.events for story in each),
            "server_tasks": median(story.tasks for story in each),
            "server_bytes": median(story.bytes for story in each),
        }
    began = [moment for moment in first if moment]
    if began:
        facts["first_step_at"] = min(began).timestamp()
    return facts
