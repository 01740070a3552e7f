"""Replays histories with today's code."""

from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from kitsune.workers.sandbox import make_workflow_runner
from kitsune.workflows.execution import ServerExecutionWorkflow
from kitsune.workflows.orchestration import OrchestrationWorkflow
from kitsune.workflows.rollback import ServerRollbackWorkflow
from kitsune.workflows.shard import ShardWorkflow
from kitsune.workflows.webhook import WebhookWorkflow

WORKFLOWS = [
    OrchestrationWorkflow,
    ServerExecutionWorkflow,
    ServerRollbackWorkflow,
    ShardWorkflow,
    WebhookWorkflow,
]


def load_history(path):
    return WorkflowHistory.from_json(path.stem, path.read_text())


async def replay(history, *, interceptors=()):
    """Replay a history; raises where the code would go another way."""
    replayer = Replayer(
        workflows=WORKFLOWS,
        workflow_runner=make_workflow_runner(),
        data_converter=pydantic_data_converter,
        interceptors=list(interceptors),
    )
    await replayer.replay_workflow(history)
