"""The one place that configures the workflow sandbox."""

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy

#: Shared with every workflow run rather than imported again: that would double a worker's CPU.
#: What is shared is not guarded at run time, so import contracts and banned names keep it pure.
SHARED = (
    "kitsune.errors",  # exceptions only
    "kitsune.measures",  # writes through the meter that a workflow hands it, which is silent during a replay
    "kitsune.metrics",  # declarations
    "kitsune.models",  # pure data
    "kitsune.names",  # constants
    "kitsune.rollout",  # pure decisions
    # What the workflow classes are made of; no state at module level.
    "kitsune.workflows.children",
    "kitsune.workflows.clock",
    "kitsune.workflows.deadlines",
    "kitsune.workflows.figures",
    "kitsune.workflows.guidance",
    "kitsune.workflows.notices",
    "kitsune.workflows.orders",
    "kitsune.workflows.preflight",
    "kitsune.workflows.reporting",
    "kitsune.workflows.runner",
    "kitsune.workflows.sharding",
    "kitsune.workflows.silence",
    "kitsune.workflows.state",
    "kitsune.workflows.steps",
    "kitsune.workflows.turns",
    "kitsune.workflows.undoing",
)


#: Interceptors run inside the sandbox. OpenTelemetry keeps its context and its provider at module level, so a second
#: import would see neither; its ids and clocks come from the SDK's provider, which is safe for replays.
#: A process without traces never imports it.
TRACED = ("opentelemetry",)


def make_workflow_runner() -> SandboxedWorkflowRunner:
    """Return the sandbox that every Kitsune worker uses."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(
            *SHARED, *TRACED
        ).with_import_notification_policy(
            SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
            | SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
        )
    )
