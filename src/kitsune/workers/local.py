"""The local worker of a server: runs the plan's steps there."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import PollerBehaviorSimpleMaximum, Worker

from kitsune.activities.agent import Agent
from kitsune.activities.checking import ServerChecking
from kitsune.activities.plans import PlanReader
from kitsune.activities.reading import ServerReading
from kitsune.activities.server import ServerActivities
from kitsune.activities.wanted import Wanted
from kitsune.workers.orchestration import deployment
from kitsune.workers.sandbox import make_workflow_runner
from kitsune.workflows.execution import ServerExecutionWorkflow
from kitsune.workflows.rollback import ServerRollbackWorkflow

#: The server refuses more than 1,200 polls of a kind by default: an agent makes as few as it can.
_WORKFLOW_POLLERS = PollerBehaviorSimpleMaximum(2)
_ACTIVITY_POLLERS = PollerBehaviorSimpleMaximum(1)
#: One rollout holds a server at a time; a few more slots answer questions meanwhile.
_ACTIVITIES_AT_ONCE = 8
_WORKFLOW_TASKS_AT_ONCE = 4
_CACHED_WORKFLOWS = 8
#: A running step gets so long to end by itself when the worker is told to stop.
_GRACE = timedelta(seconds=10)
#: An operator's abort reaches a step within this time.
_CANCEL_WITHIN = timedelta(seconds=2)


def make_local_worker(client: Client, agent: Agent) -> Worker:
    """Return the worker of one server."""
    return Worker(
        client,
        task_queue=agent.server_id,
        workflows=[ServerExecutionWorkflow, ServerRollbackWorkflow],
        activities=[
            *ServerActivities(agent, PlanReader(client), Wanted()).all,
            *ServerReading(agent).all,
            *ServerChecking(agent).all,
        ],
        workflow_runner=make_workflow_runner(),
        workflow_task_poller_behavior=_WORKFLOW_POLLERS,
        activity_task_poller_behavior=_ACTIVITY_POLLERS,
        max_concurrent_activities=_ACTIVITIES_AT_ONCE,
        max_concurrent_workflow_tasks=_WORKFLOW_TASKS_AT_ONCE,
        max_cached_workflows=_CACHED_WORKFLOWS,
        graceful_shutdown_timeout=_GRACE,
        max_heartbeat_throttle_interval=_CANCEL_WITHIN,
        default_heartbeat_throttle_interval=_CANCEL_WITHIN,
        deployment_config=deployment("kitsune-agent"),
    )
