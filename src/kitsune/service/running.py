"""What a server is doing just now: its current step and the last it said, without asking its agent."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.client import Client
from temporalio.exceptions import TemporalError
from temporalio.service import RPCError

from kitsune import names

_TIMEOUT = timedelta(seconds=3)
#: Events of the running step's own: scheduled, and a workflow task around it.
_LAST_EVENTS = 10
#: Keys of a heartbeat in which handlers say what they see, the most telling first.
_SPOKEN = ("stderr", "stdout", "message")


_NUMBERED = re.compile(
    r"(?P<undo>undo )?(?P<number>[0-9]+)/[0-9]+ (?P<name>.*) \([^()]*\)", re.DOTALL
)


@dataclass(frozen=True)
class Tail:
    """The end of an output stream, as a heartbeat told it.

    Attributes:
        end: Where in the stream it ends, in bytes.
        data: Its bytes; empty where they were no text, so that the heartbeat could not carry them.
    """

    end: int
    data: bytes

    @property
    def start(self) -> int:
        """Where in the stream it starts."""
        return self.end - len(self.data)


@dataclass(frozen=True)
class RunningStep:
    """What a server is doing.

    Attributes:
        step: As in `2/4 restart nginx (script)`; empty where nothing is known yet.
        attempt: Which delivery of the step this is, from 1.
        last_line: The last line that the step has written; empty where it has said nothing.
        execution: Which execution of the step this is, from 1; 0 where it has said nothing.
        tails: The ends of its output streams, by stream.
    """

    server_id: str
    step: str
    attempt: int = 1
    last_line: str = ""
    execution: int = 0
    tails: Mapping[str, Tail] = field(default_factory=dict)

    @property
    def index(self) -> int | None:
        """The step's index, from 0."""
        found = _NUMBERED.match(self.step)
        return int(found["number"]) - 1 if found else None

    @property
    def name(self) -> str:
        """The step's name, as far as it is known."""
        found = _NUMBERED.match(self.step)
        return found["name"] if found else self.step

    @property
    def phase(self) -> str:
        """`execute` or `rollback`."""
        found = _NUMBERED.match(self.step)
        return "rollback" if found and found["undo"] else "execute"


async def running_steps(
    client: Client, *, rollout_id: str, server_ids: Sequence[str]
) -> dict[str, RunningStep]:
    """Return the current steps of a few servers; servers that another rollout holds are left out."""
    looks = (_look(client, rollout_id=rollout_id, server_id=server) for server in server_ids)
    found = await asyncio.gather(*looks)
    return {step.server_id: step for step in found if step is not None}


async def _look(client: Client, *, rollout_id: str, server_id: str) -> RunningStep | None:
    try:
        description, events = await asyncio.gather(
            _describe(client, server_id), _last_events(client, server_id)
        )
    except (RPCError, TemporalError):
        return None  # decoration: the next look may know more
    info = description.workflow_execution_info
    if rollout_id not in (info.root_execution.workflow_id, info.parent_execution.workflow_id):
        return None
    pending = next(iter(description.pending_activities), None)
    details = await _heartbeat(client, pending) if pending else {}
    return RunningStep(
        server_id=server_id,
        step=await _step_of(client, events),
        attempt=max(1, pending.attempt) if pending else 1,
        last_line=last_line(details),
        execution=_whole(details.get("execution")),
        tails=_tails(details),
    )


def last_line(details: Mapping[str, Any]) -> str:
    """Return the last line that a step's heartbeat tells, errors before output."""
    for key in _SPOKEN:
        said = details.get(key)
        text = said.get("text") if isinstance(said, dict) else said
        if isinstance(text, str) and text.strip():
            return text.strip().splitlines()[-1]
    return ""


def _tails(details: Mapping[str, Any]) -> dict[str, Tail]:
    said = details.get("tails")
    told = said if isinstance(said, dict) else {}
    return {stream: _tail(tail) for stream, tail in told.items() if isinstance(tail, dict)}


def _tail(told: Mapping[str, Any]) -> Tail:
    text = told.get("text")
    exact = isinstance(text, str) and "\ufffd" not in text
    return Tail(_whole(told.get("end")), str(text).encode() if exact else b"")


def _whole(number: Any) -> int:
    return number if isinstance(number, int) else 0


async def _describe(client: Client, server_id: str) -> DescribeWorkflowExecutionResponse:
    return await client.workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(namespace=client.namespace, execution=_guard(server_id)),
        timeout=_TIMEOUT,
    )


async def _last_events(client: Client, server_id: str) -> Sequence[HistoryEvent]:
    """Return a server's latest events, newest first; pending activities do not carry the step's name."""
    answer = await client.workflow_service.get_workflow_execution_history_reverse(
        GetWorkflowExecutionHistoryReverseRequest(
            namespace=client.namespace,
            execution=_guard(server_id),
            maximum_page_size=_LAST_EVENTS,
        ),
        timeout=_TIMEOUT,
    )
    return answer.history.events


def _guard(server_id: str) -> WorkflowExecution:
    return WorkflowExecution(workflow_id=names.server_execution_id(server_id))


async def _step_of(client: Client, events: Sequence[HistoryEvent]) -> str:
    kinds = (EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, EventType.EVENT_TYPE_TIMER_STARTED)
    begun = next((event for event in events if event.event_type in kinds), None)
    if begun is None or not begun.user_metadata.HasField("summary"):
        return ""
    return str(await _decoded(client, begun.user_metadata.summary) or "")


async def _heartbeat(client: Client, pending: PendingActivityInfo) -> dict[str, Any]:
    payloads = pending.heartbeat_details.payloads
    details = await _decoded(client, payloads[0]) if payloads else None
    return details if isinstance(details, dict) else {}


async def _decoded(client: Client, payload: Any) -> Any:
    (value,) = await client.data_converter.decode([payload])
    return value
