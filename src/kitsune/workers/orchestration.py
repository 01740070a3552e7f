"""The orchestration worker: coordinates rollouts, touches no server."""

from collections.abc import Mapping
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig

from kitsune.activities.orchestrator import OrchestratorActivities
from kitsune.activities.webhooks import WebhookActivities
from kitsune.handlers.registry import HandlerRegistry
from kitsune.names import ORCHESTRATOR_QUEUE
from kitsune.version import __version__
from kitsune.webhooks.settings import Receiver
from kitsune.workers.conversion import tolerant
from kitsune.workers.sandbox import make_workflow_runner
from kitsune.workflows.orchestration import OrchestrationWorkflow
from kitsune.workflows.shard import ShardWorkflow
from kitsune.workflows.webhook import WebhookWorkflow

#: Every rollout keeps one activity open that watches its servers, and one per server that it waits for.
_ACTIVITIES_AT_ONCE = 10_000
#: Python runs one workflow task at a time; those taken beyond that only come nearer to their timeout of 10 s.
_WORKFLOW_TASKS_AT_ONCE = 10
_GRACE = timedelta(seconds=5)


def make_orchestration_worker(
    client: Client,
    registry: HandlerRegistry,
    *,
    receivers: Mapping[str, Receiver] | None = None,
) -> Worker:
    """Return the worker that runs rollouts and their shards, and tells webhooks of them."""
    webhooks = WebhookActivities(receivers)
    rollouts = OrchestratorActivities(client, registry, webhooks=webhooks.interests)
    return Worker(
        tolerant(client),
        task_queue=ORCHESTRATOR_QUEUE,
        workflows=[OrchestrationWorkflow, ShardWorkflow, WebhookWorkflow],
        activities=[*rollouts.all, *webhooks.all],
        workflow_runner=make_workflow_runner(),
        max_concurrent_workflow_tasks=_WORKFLOW_TASKS_AT_ONCE,
        max_concurrent_activities=_ACTIVITIES_AT_ONCE,
        graceful_shutdown_timeout=_GRACE,
        max_heartbeat_throttle_interval=timedelta(seconds=2),
        deployment_config=deployment("kitsune-orchestrator"),
    )


def deployment(name: str) -> WorkerDeploymentConfig:
    """Return a readable version for `temporal worker list`, without server-side versioning.

    Versioning is limited to 100 task queues per version; there is one queue per server here.
    """
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name=name, build_id=__version__),
        use_worker_versioning=False,
        default_versioning_behavior=VersioningBehavior.UNSPECIFIED,
    )
