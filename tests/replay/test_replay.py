"""Histories of released workflows replay with today's code."""

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

HISTORIES = sorted((Path(__file__).parent / "histories").rglob("*.json"))


def load(path):
    return WorkflowHistory.from_json(path.stem, path.read_text())


def type_of(history):
    return history.events[0].workflow_execution_started_event_attributes.workflow_type.name


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_a_saved_history_replays(path):
    replayer = Replayer(
        workflows=[
            OrchestrationWorkflow,
            ServerExecutionWorkflow,
            ServerRollbackWorkflow,
            ShardWorkflow,
        ],
        workflow_runner=make_workflow_runner(),
        data_converter=pydantic_data_converter,
    )
    await replayer.replay_workflow(load(path))


def test_every_workflow_type_has_a_saved_history():
    assert {type_of(load(path)) for path in HISTORIES} == {
        names.ORCHESTRATION_WORKFLOW,
        names.SERVER_EXECUTION_WORKFLOW,
        names.SERVER_ROLLBACK_WORKFLOW,
        names.SHARD_WORKFLOW,
    }
