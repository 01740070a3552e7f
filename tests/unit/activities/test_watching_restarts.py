"""A server that restarts its host for a step is not given up before that step's time is over."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.contrib.pydantic import pydantic_data_converter

from kitsune.activities.orchestrator import OrchestratorActivities
from kitsune.handlers.registry import HandlerRegistry
from kitsune.models.requests import WatchRequest


class Temporal:
    """A rollout with one child whose task has been waiting for ten minutes."""

    data_converter = pydantic_data_converter

    def __init__(self, pending):
        self._child = DescribeWorkflowExecutionResponse(pending_activities=[pending])
        self._child.workflow_execution_info.task_queue = "web-1"
        self._rollout = DescribeWorkflowExecutionResponse()
        self._rollout.pending_children.add(workflow_id="exec-web-1")
        self.looks = 0

    def get_workflow_handle(self, workflow_id):
        async def describe():
            self.looks += 1
            raw = self._child if workflow_id.startswith("exec-") else self._rollout
            return SimpleNamespace(raw_description=raw)

        async def history():
            for event in ():
                yield event

        return SimpleNamespace(describe=describe, fetch_history_events=history)


async def pending(details, *, said=timedelta(minutes=10)):
    info = PendingActivityInfo(
        activity_id="1",
        attempt=2,
        state=PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED,
    )
    info.scheduled_time.FromDatetime(datetime.now(UTC) - timedelta(minutes=10))
    info.last_heartbeat_time.FromDatetime(datetime.now(UTC) - said)
    info.heartbeat_details.payloads.extend(await pydantic_data_converter.encode([details]))
    return info


async def away(details, **options):
    temporal = Temporal(await pending(details, **options))
    activities = OrchestratorActivities(temporal, HandlerRegistry([]))
    request = WatchRequest(rollout_id="r", timeout=timedelta(seconds=60))
    found = await activities._away(request, {})
    assert temporal.looks == 2
    return [server.server_id for server in found]


async def test_a_server_whose_restart_may_still_last_is_waited_for():
    assert await away({"rebooting": True, "seconds": 3600}) == []


@pytest.mark.parametrize(
    "details",
    [
        {},
        {"rebooting": True, "seconds": 300},
        {"rebooting": True},
        {"rebooting": True, "seconds": "long"},
        {"rebooting": False, "seconds": 3600},
        "rebooting",
    ],
)
async def test_every_other_silence_counts(details):
    assert await away(details) == ["web-1"]


async def test_a_restart_is_not_waited_for_longer_than_a_day():
    forever = {"rebooting": True, "seconds": 10**12}
    assert await away(forever) == []
    assert await away(forever, said=timedelta(days=2)) == ["web-1"]
