"""The one place that configures the workflow sandbox."""

from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import Info, SandboxImportNotificationPolicy

#: Shared with every workflow run rather than imported again: that would double a worker's CPU.
#: What is shared is not guarded at run time, so import contracts and banned names keep it pure.
SHARED = (
    "kitsune.errors",  # exceptions only
    "kitsune.measures",  # writes through the meter that a workflow hands it, which is silent during a replay
    "kitsune.metrics",  # declarations
    "kitsune.models",  # pure data
    "kitsune.names",  # constants
    "kitsune.rollout",  # pure decisions
    "kitsune.workflows",  # sequence, wait and record; no state at module level
)


#: Interceptors run inside the sandbox. OpenTelemetry keeps its context and its provider at module level, so a second
#: import would see neither; its ids and clocks come from the SDK's provider, which is safe for replays.
#: A process without traces never imports it.
TRACED = ("opentelemetry",)


class _WithoutContexts(WorkflowInstance):
    """A workflow whose payloads are converted alike, whatever they belong to.

    For every payload the SDK enters the sandbox, to ask which command it belongs to: half of a local worker's CPU.
    Only converters and codecs that want to know use the answer, and Kitsune has none of that kind.
    """

    def __init__(self, inner: WorkflowInstance) -> None:
        self._inner = inner

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Run the workflow for a moment."""
        return self._inner.activate(act)

    def get_serialization_context(self, command_info: Any) -> SerializationContext | None:
        """Return None: no context."""
        del command_info
        return None

    def get_external_store_context(self, command_info: Any) -> StorageDriverStoreContext:
        """Return that nothing is stored elsewhere."""
        del command_info
        return StorageDriverStoreContext(target=None)

    def get_info(self) -> Info:
        """Return what is known of the workflow."""
        return self._inner.get_info()

    def get_thread_id(self) -> int | None:
        """Return the thread that runs it now."""
        return self._inner.get_thread_id()


class _Sandbox(SandboxedWorkflowRunner):
    """The SDK's sandbox, entered once for each activation."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Return a workflow in a sandbox of its own."""
        return _WithoutContexts(super().create_instance(det))


def make_workflow_runner() -> SandboxedWorkflowRunner:
    """Return the sandbox that every Kitsune worker uses."""
    return _Sandbox(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(
            *SHARED, *TRACED
        ).with_import_notification_policy(
            SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
            | SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
        )
    )
