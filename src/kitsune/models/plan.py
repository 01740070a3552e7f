"""A plan: which servers, which steps, in which order, and what happens when it goes wrong."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue, StringConstraints

from kitsune.models.base import WrittenModel
from kitsune.models.durations import LONGEST, Duration, format_duration
from kitsune.models.problems import show_value
from kitsune.models.sizes import BatchSize, FailureLimit, UnreachableLimit
from kitsune.names import ORCHESTRATOR_QUEUE

#: An agent tells of itself once a second, and the SDK passes on one in two seconds.
_SHORTEST_HEARTBEAT = timedelta(seconds=3)
#: How long a server may stay silent, where the plan does not say.
_PATIENCE = timedelta(seconds=60)
_SERVER_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")


def check_server_id(server_id: str) -> str:
    """Return a server id that can name a task queue and a folder.

    Raises:
        ValueError: Empty, too long, other characters, only dots, or the orchestrator's own queue.
    """
    if not _SERVER_ID.fullmatch(server_id) or set(server_id) == {"."}:
        raise ValueError(
            f"not a server id: {show_value(server_id)} (write 1 to 200 letters, digits, '.', '_' or '-')"
        )
    if server_id == ORCHESTRATOR_QUEUE:
        raise ValueError(f"{server_id!r} is the orchestrator's own task queue, not a server")
    return server_id


def _check_not_zero(duration: timedelta) -> timedelta:
    if not duration:
        raise ValueError("must be longer than 0s")
    return duration


def _check_heartbeat(duration: timedelta) -> timedelta:
    if duration < _SHORTEST_HEARTBEAT:
        raise ValueError(
            f"{format_duration(duration)} is too short for a heartbeat (write 3s or more)"
        )
    return duration


def _check_printable(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError(f"must be one line of printable text, not {show_value(text)}")
    return text


def _check_servers(servers: list[str]) -> list[str]:
    if not servers:
        raise ValueError("a plan needs at least one server")
    return servers


ServerId = Annotated[
    str,
    AfterValidator(check_server_id),
    Field(json_schema_extra={"pattern": r"^[A-Za-z0-9._-]{1,200}$"}),
]
Name = Annotated[str, StringConstraints(max_length=200), AfterValidator(_check_printable)]
Timeout = Annotated[Duration, AfterValidator(_check_not_zero)]


class RetryPolicy(WrittenModel):
    """How often a step is executed; Temporal's words. What is left out comes from the plan, then from here."""

    initial_interval: Timeout | None = Field(
        default=None, description="Wait before the second execution. Default 1s."
    )
    backoff_coefficient: Annotated[float, Field(strict=False, ge=1, le=1000)] | None = Field(
        default=None, description="Each wait is that much longer than the one before. Default 2.0."
    )
    maximum_interval: Timeout | None = Field(default=None, description="Longest wait. Default 60s.")
    maximum_attempts: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None,
        description="Executions at most. Default 3 where the handler is idempotent, else 1 (script: 1).",
    )


class Step(WrittenModel):
    """One thing to do on each server."""

    name: Name = Field(description="Shown everywhere.")
    type: Annotated[str, StringConstraints(min_length=1, max_length=100)] = Field(
        description="Which handler runs this step: echo, sleep, script, file_write, or a plugin's."
    )
    params: dict[str, JsonValue] = Field(
        default_factory=dict, description="What the handler takes."
    )
    required: bool = Field(
        default=True, description="A failure stops this server and rolls it back."
    )
    continue_on_failure: bool = Field(
        default=False,
        description="Wins over `required`: the failure is recorded, the server goes on and can still succeed.",
    )
    timeout: Timeout | None = Field(
        default=None, description="Longest time of one execution. Default: the plan's stepTimeout."
    )
    retry_policy: RetryPolicy | None = Field(
        default=None, description="Overrides the plan's, key by key."
    )

    @property
    def stops_server(self) -> bool:
        """Whether a failure of this step ends the plan on its server."""
        return self.required and not self.continue_on_failure


class RolloutStrategy(WrittenModel):
    """In which order servers are taken, and when to stop."""

    type: Literal["Parallel", "Sequential", "Rolling", "Canary"] = Field(
        default="Parallel",
        description="Parallel: one batch. Sequential: one server after the other. Rolling: batches of batchSize. "
        "Canary: a canary batch, then the rest.",
    )
    batch_size: BatchSize | None = Field(
        default=None,
        description='2, "25%" (rounds down, at least 1) or a list [1, 5, "25%"] whose last entry repeats. Default 1.',
    )
    batch_delay_seconds: Duration = Field(
        default=timedelta(0), description="Durable wait between batches."
    )
    canary_percentage: Annotated[float, Field(strict=False, ge=0, le=100)] | None = Field(
        default=None,
        description="That share of the servers (rounded up) goes first; one failure there stops the rollout. "
        "Default 0; 10 for Canary.",
    )
    canary_soak_seconds: Duration = Field(
        default=timedelta(0), description="Durable wait after a good canary."
    )
    max_concurrency: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="So many servers at once within a batch. Default: the whole batch.",
    )
    max_failures: FailureLimit = Field(
        default=0,
        description='Failed servers that are tolerated: a count, "10%" of the fleet (rounded down), or -1 for no limit.',
    )
    on_stop: Literal["drain", "cancel"] = Field(
        default="drain", description="What happens to servers in flight when the rollout stops."
    )
    on_failure: Literal["rollback", "ask"] = Field(
        default="rollback",
        description="rollback: a server whose step fails is undone as `rollback` says. "
        "ask: it is held until somebody says retry, skip or rollback; it counts into maxFailures meanwhile.",
    )
    approval: Literal["none", "afterCanary", "everyBatch"] = Field(
        default="none", description="After which batches the rollout waits for a person."
    )
    approval_timeout: Timeout | None = Field(
        default=None,
        description="Longest wait for a person; then the rollout stops. Default: for ever.",
    )
    progress_deadline: Timeout | None = Field(
        default=None,
        description="The rollout stops when no server has ended for so long while some run. Default: never.",
    )


class Rollback(WrittenModel):
    """What is undone when it goes wrong."""

    scope: Literal["none", "server", "fleet"] = Field(
        default="server",
        description="none; server: a server that fails undoes its own steps; "
        "fleet: when the rollout stops, servers that had succeeded are undone as well.",
    )
    max_concurrency: Annotated[int, Field(ge=1, le=500)] = Field(
        default=50, description="So many servers are undone at once, for scope fleet."
    )
    deadline: Timeout = Field(
        default=timedelta(hours=1),
        description="So long a rollback waits for a server that is away; then it is left to a person.",
    )


class Unreachable(WrittenModel):
    """What happens with servers that do not answer."""

    policy: Literal["fail", "skip", "wait"] = Field(
        default="fail",
        description="fail: counts as a failed server; skip: left out, and said so; "
        "wait: its batch waits until it is back.",
    )
    timeout: Timeout | None = Field(
        default=None,
        description="So long a server may stay silent, before and while it works. "
        "Default 60s; for ever for wait.",
    )
    max_unreachable: UnreachableLimit | None = Field(
        default=None,
        description='Unreachable servers that are tolerated, apart from maxFailures: a count or "10%" of the fleet '
        "(rounded down). Default: they count into maxFailures.",
    )

    @property
    def patience(self) -> timedelta:
        """How long a server may stay silent."""
        if self.timeout is not None:
            return self.timeout
        return LONGEST if self.policy == "wait" else _PATIENCE


class Busy(WrittenModel):
    """What happens with servers that another rollout holds."""

    policy: Literal["wait", "fail"] = Field(
        default="wait", description="wait for the other rollout, or fail the server."
    )
    timeout: Timeout = Field(
        default=timedelta(minutes=30), description="Longest wait; then the server counts as failed."
    )


class RollbackOf(WrittenModel):
    """The rollout that this one undoes; written by `kitsune rollback`."""

    rollout_id: Annotated[str, StringConstraints(min_length=1, max_length=1000)] = Field(
        description="Id of the rollout to undo."
    )
    run_id: Annotated[str, StringConstraints(min_length=1, max_length=100)] = Field(
        description="Its first run id: it names what its steps kept on the servers."
    )
    force: bool = Field(
        default=False, description="Overwrite what somebody has changed since; otherwise: conflict."
    )
    generation: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=0, description="Which try of this rollback it is, from 0."
    )
    begun: dict[ServerId, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict, description="How many steps began on each server, in order."
    )
    generations: dict[ServerId, list[Annotated[int, Field(ge=0)]]] = Field(
        default_factory=dict,
        description="Generation of each of those steps (how often an operator had it retried), where not 0.",
    )


class Plan(WrittenModel):
    """A plan, whole and valid in form; its steps' params are checked by their handlers."""

    schema_url: str | None = Field(
        default=None, alias="$schema", description="For editors; ignored."
    )
    name: Annotated[str, StringConstraints(max_length=100), AfterValidator(_check_printable)] = (
        Field(default="rollout", description="For people; part of the rollout's id.")
    )
    servers: Annotated[list[ServerId], AfterValidator(_check_servers)] = Field(
        description="Server ids, in the order in which they are taken.",
        json_schema_extra={"minItems": 1, "uniqueItems": True},
    )
    steps: Annotated[list[Step], Field(min_length=1)] = Field(
        description="What is done on each server, in order."
    )
    rollout_strategy: RolloutStrategy = Field(default_factory=RolloutStrategy)
    deadline: Timeout | None = Field(
        default=None,
        description="The rollout stops when it has run for so long, pauses not counted. Default: never.",
    )
    retry_policy: RetryPolicy = Field(
        default_factory=RetryPolicy, description="Default for every step."
    )
    step_timeout: Timeout = Field(
        default=timedelta(minutes=5), description="Default for every step."
    )
    heartbeat_timeout: Annotated[Duration, AfterValidator(_check_heartbeat)] = Field(
        default=timedelta(seconds=60),
        description="A step whose agent has been silent for so long is handed out again.",
    )
    rollback: Rollback = Field(default_factory=Rollback)
    unreachable: Unreachable = Field(default_factory=Unreachable)
    busy: Busy = Field(default_factory=Busy)
    start_at: dict[ServerId, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict,
        description="Servers that begin at a later step, by its index from 0; "
        "written by `kitsune retry --from-step failed`.",
    )
    rollback_of: RollbackOf | None = Field(
        default=None, description="Undo another rollout; written by `kitsune rollback`."
    )


def plan_to_wire(plan: Plan) -> dict[str, Any]:
    """Return the plan as the JSON that goes to Temporal: what was written, in canonical form."""
    return plan.model_dump(mode="json", by_alias=True, exclude_unset=True)
