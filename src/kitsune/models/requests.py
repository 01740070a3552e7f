"""What our workflows and activities send each other."""

from datetime import datetime, timedelta
from typing import Any

from pydantic import Field, JsonValue

from kitsune.models.base import WireModel
from kitsune.models.durations import Duration
from kitsune.models.problems import Problem

#: Bytes kept per output stream of a step, where nothing smaller is asked for.
OUTPUT_LIMIT = 32 * 1024


class ResolvedStep(WireModel):
    """A step with every default filled in but those that only its handler knows."""

    index: int
    name: str
    type: str
    params: dict[str, JsonValue] = Field(default_factory=dict)
    stops_server: bool = True
    timeout: Duration
    initial_interval: Duration = timedelta(seconds=1)
    backoff_coefficient: float = 2.0
    maximum_interval: Duration = timedelta(seconds=60)
    maximum_attempts: int | None = None
    """Executions at most; None: the handler's own default."""


class ServerRequest(WireModel):
    """Input of ServerExecutionWorkflow and ServerRollbackWorkflow.

    Attributes:
        rollout_id: Workflow id of the orchestration.
        run_id: Its first run id: what makes operations of two rollouts of one id differ.
        generation: Grows only when an operator asks to run something again.
        undo_on_failure: Roll this server back when it fails (scope `server` or `fleet`).
        result_limit: Bytes that the result may have as JSON.
        output_limit: Bytes kept of each output stream.
    """

    rollout_id: str
    run_id: str
    server_id: str
    steps: list[ResolvedStep]
    heartbeat_timeout: Duration = timedelta(seconds=60)
    generation: int = 0
    undo_on_failure: bool = True
    result_limit: int = 64 * 1024
    output_limit: int = OUTPUT_LIMIT
    begun: list[int] = Field(default_factory=list)
    """For ServerRollbackWorkflow: indexes of the steps that are known to have begun."""
    refuse_conflicts: bool = False
    """For ServerRollbackWorkflow: leave alone what somebody else has changed since."""
    rollback_generation: int = 0
    """For ServerRollbackWorkflow: grows when an operator has a failed rollback tried again."""


class StepRequest(WireModel):
    """Input of the ExecuteStep and RollbackStep activities."""

    rollout_id: str
    run_id: str
    server_id: str
    step: ResolvedStep
    generation: int = 0
    output_limit: int = OUTPUT_LIMIT
    begun: bool = False
    """For RollbackStep: the rollout knows that the step began here, so a journal without it has been lost."""
    refuse_conflicts: bool = False
    """For RollbackStep: leave alone what somebody else has changed since, and fail."""
    rollback_generation: int = 0
    """For RollbackStep: grows when an operator has a failed rollback tried again."""


class UndoOutcome(WireModel):
    """Result of RollbackStep: `rolledBack`, or `nothingToUndo` or `cannotBeUndone` with the reason."""

    undone: str
    detail: str | None = None


class PreflightRequest(WireModel):
    """Input of Preflight. No steps: only "are you there?"."""

    rollout_id: str
    server_id: str
    steps: list[ResolvedStep] = Field(default_factory=list)


class PreflightReport(WireModel):
    """What a server says before anything is touched.

    Attributes:
        problems: What is wrong with the plan's steps on this server.
        missing_types: Step types that this server does not offer.
        clock: The server's own time, for the clock offset.
    """

    server_id: str
    version: str = ""
    step_types: list[str] = Field(default_factory=list)
    missing_types: list[str] = Field(default_factory=list)
    problems: list[Problem] = Field(default_factory=list)
    clock: datetime | None = None


class ValidationRequest(WireModel):
    """Input of ValidatePlan: the workflow's own arguments, whatever they were."""

    arguments: list[Any]


class ValidationReport(WireModel):
    """Result of ValidatePlan.

    Attributes:
        problems: Everything that is wrong; empty for a plan that may run.
        warnings: What an operator should know, one sentence each.
        unknown_types: Step types that only the servers can know.
    """

    problems: list[Problem] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    unknown_types: list[str] = Field(default_factory=list)


class WatchRequest(WireModel):
    """Input of WatchServers: whose children to look after, and how long silence is allowed."""

    rollout_id: str
    timeout: Duration


class AwayServer(WireModel):
    """A server whose agent has left a task untaken for too long."""

    server_id: str
    step_started: bool
    """Whether any step had started there: the outcome is then unknown."""
    detail: str
    """What is known, for the result: the step, and since when."""
    since: datetime
    """When Temporal first held the task for it that it has not taken."""
    failing: bool = False
    """Its worker takes tasks, but fails at each: it cannot run our workflows."""


class WatchReport(WireModel):
    """Result of WatchServers: it ends when it has found somebody."""

    away: list[AwayServer]


class HolderRequest(WireModel):
    """Input of AwaitServerFree."""

    server_id: str
    timeout: Duration
    """How long to wait; zero only asks."""


class HolderReport(WireModel):
    """Result of AwaitServerFree: the rollout that still holds the server, or None when it is free."""

    holder: str | None = None


class TerminateRequest(WireModel):
    """Input of TerminateServer: closes a child whose agent is away."""

    server_id: str
    rollout_id: str
    """Only a child of this rollout is closed."""
    since: datetime
    """The silence that was seen; an agent that has taken its task since is left alone."""
    failing: bool = False
    reason: str


class AbortRequest(WireModel):
    """Argument of the `abort` update and signal."""

    actor: str = "unknown"
    reason: str = ""
    rollback: bool = False
