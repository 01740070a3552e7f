"""What our workflows and activities send each other."""

from datetime import datetime, timedelta
from typing import Any

from pydantic import Field, JsonValue

from kitsune.models.base import WireModel
from kitsune.models.durations import Duration
from kitsune.models.notices import WebhookInterest
from kitsune.models.orders import Order
from kitsune.models.problems import Problem

#: Bytes kept per output stream of a step, where nothing smaller is asked for.
OUTPUT_LIMIT = 32 * 1024


class ResolvedStep(WireModel):
    """A step with every default filled in but those that only its handler knows."""

    index: int
    name: str
    type: str
    params: dict[str, JsonValue] = Field(default_factory=dict)
    params_in_plan: bool = False
    """The params are large and stand only in the plan, see `PlanReference`; `params` is empty."""
    stops_server: bool = True
    timeout: Duration
    initial_interval: Duration = timedelta(seconds=1)
    backoff_coefficient: float = 2.0
    maximum_interval: Duration = timedelta(seconds=60)
    maximum_attempts: int | None = None
    """Executions at most; None: the handler's own default."""


class PlanReference(WireModel):
    """Where the plan of a rollout lies: it is what this run of this workflow was started with."""

    workflow_id: str
    run_id: str


class ServerCourse(WireModel):
    """How far a server has come: what one run of its workflow hands to the next when its history gets long.

    Attributes:
        outcomes: StepOutcomes of the steps so far, in order, as JSON without what is default; outputs may be cut.
        next_step: Index of the step that follows.
        started_at: When the first run began.
        paused: Whether the rollout is paused.
    """

    outcomes: list[dict[str, JsonValue]]
    next_step: int
    started_at: datetime
    paused: bool = False


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
    generations: dict[int, int] = Field(default_factory=dict)
    """For ServerRollbackWorkflow: last generation of steps that an operator had retried, by index."""
    first_step: int = 0
    """Index of the first step to run, or to undo."""
    on_failure: str = "rollback"
    """`rollback`, or `ask`: hold where a required step fails, and wait for a decision."""
    refuse_conflicts: bool = False
    """For ServerRollbackWorkflow: leave alone what somebody has changed since."""
    rollback_generation: int = 0
    """For ServerRollbackWorkflow: which try of the rollback it is."""
    plan: PlanReference | None = None
    """Where the steps are; `steps` is empty then. None: they are in `steps`."""
    course: ServerCourse | None = None
    """For ServerExecutionWorkflow: how far an earlier run of it came."""
    quick_types: list[str] = Field(default_factory=list)
    """Step types that are done in milliseconds: they run as local activities."""


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
    plan: PlanReference | None = None
    """Where the params are, for a step that says `params_in_plan`."""
    refuse_conflicts: bool = False
    """For RollbackStep: leave alone what somebody has changed since, and say so."""
    rollback_generation: int = 0
    """For RollbackStep: which try of the rollback it is."""
    cancelled: bool = False
    """For ExecuteStep: the workflow was cancelled, so only what has begun already counts."""


class HeldServer(WireModel):
    """Signal `serverHeld` of a server's workflow to its rollout: a required step failed there."""

    server_id: str
    step: str
    """Its name."""
    error: str | None = None
    generation: int = 0
    """How often a step of this server has been retried."""


class Decision(WireModel):
    """Signal `decide` of a rollout to a held server's workflow."""

    verb: str
    """`retry`, `skip` or `rollback`."""
    generation: int = 0
    """Of the hold that it answers; any other one is ignored."""


class UndoOutcome(WireModel):
    """Result of RollbackStep: `rolledBack`, or `nothingToUndo` or `cannotBeUndone` with the reason."""

    undone: str
    detail: str | None = None


class PreflightRequest(WireModel):
    """Input of Preflight. Neither steps nor a plan: only "are you there?"."""

    rollout_id: str
    server_id: str
    steps: list[ResolvedStep] = Field(default_factory=list)
    plan: PlanReference | None = None
    """Where the steps are, instead of in `steps`."""


class StepList(WireModel):
    """Result of LoadSteps."""

    steps: list[ResolvedStep]


class LoadRequest(WireModel):
    """Input of LoadSteps: which plan."""

    plan: PlanReference


class PreflightReport(WireModel):
    """What a server says before anything is touched.

    Attributes:
        problems: What is wrong with the plan's steps on this server.
        missing_types: Step types that this server does not offer.
        clock: The server's own time, for the clock offset.
        instance: Tells the agent's process from every other one: two answers that differ are two agents.
        host: The name of the host that it runs on.
    """

    server_id: str
    version: str = ""
    step_types: list[str] = Field(default_factory=list)
    missing_types: list[str] = Field(default_factory=list)
    problems: list[Problem] = Field(default_factory=list)
    clock: datetime | None = None
    instance: str = ""
    host: str = ""


class ValidationRequest(WireModel):
    """Input of ValidatePlan: the workflow's own arguments, whatever they were."""

    arguments: list[Any]


class ValidationReport(WireModel):
    """Result of ValidatePlan.

    Attributes:
        problems: Everything that is wrong; empty for a plan that may run.
        warnings: What an operator should know, one sentence each.
        unknown_types: Step types that only the servers can know.
        webhooks: Who wants to hear what of the rollout.
        quick_types: Step types of the plan that are done in milliseconds.
    """

    problems: list[Problem] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    unknown_types: list[str] = Field(default_factory=list)
    webhooks: list[WebhookInterest] = Field(default_factory=list)
    quick_types: list[str] = Field(default_factory=list)


class WatchRequest(WireModel):
    """Input of WatchServers: whose children to look after (a rollout's or a shard's), and how long silence is allowed."""

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
    """Only a child of this workflow, a rollout or a shard, is closed."""
    since: datetime
    """The silence that was seen; an agent that has taken its task since is left alone."""
    failing: bool = False
    reason: str


class AbortRequest(Order):
    """Argument of the `abort` update and signal."""

    rollback: bool = False
