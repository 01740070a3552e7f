"""Histories of released workflows replay with today's code."""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from kitsune import names
from kitsune.workers.sandbox import make_workflow_runner
from kitsune.workflows.execution import ServerExecutionWorkflow
from kitsune.workflows.orchestration import OrchestrationWorkflow
from kitsune.workflows.rollback import ServerRollbackWorkflow
from kitsune.workflows.shard import ShardWorkflow
from kitsune.workflows.webhook import WebhookWorkflow

HISTORIES = sorted((Path(__file__).parent / "histories").rglob("*.json"))


def load(path):
    return WorkflowHistory.from_json(path.stem, path.read_text())


def type_of(history):
    return history.events[0].workflow_execution_started_event_attributes.workflow_type.name


def replayer():
    return Replayer(
        workflows=[
            OrchestrationWorkflow,
            ServerExecutionWorkflow,
            ServerRollbackWorkflow,
            ShardWorkflow,
            WebhookWorkflow,
        ],
        workflow_runner=make_workflow_runner(),
        data_converter=pydantic_data_converter,
    )


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_a_saved_history_replays(path):
    await replayer().replay_workflow(load(path))


async def test_a_rollout_whose_first_worker_knew_no_webhooks_goes_on_where_the_next_one_does():
    history = load(HISTORIES[0].parents[1] / "0.2.0" / "succeeded.orchestration.json")
    answer = next(
        event.activity_task_completed_event_attributes.result.payloads[0]
        for event in history.events
        if event.HasField("activity_task_completed_event_attributes")
    )
    webhook = {"name": "ops", "events": ["rolloutStarted", "rolloutSucceeded"]}
    answer.data = json.dumps(json.loads(answer.data) | {"webhooks": [webhook]}).encode()
    await replayer().replay_workflow(history)


def test_every_workflow_type_has_a_saved_history():
    assert {type_of(load(path)) for path in HISTORIES} == {
        names.ORCHESTRATION_WORKFLOW,
        names.SERVER_EXECUTION_WORKFLOW,
        names.SERVER_ROLLBACK_WORKFLOW,
        names.SHARD_WORKFLOW,
        names.WEBHOOK_WORKFLOW,
    }
