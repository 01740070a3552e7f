"""What a rollout reports: one honest answer for every server."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field, JsonValue

from kitsune.models.base import WireModel
from kitsune.models.orders import OrderRecord
from kitsune.models.problems import Problem


class ServerStatus(StrEnum):
    """How a server ended; each ends in exactly one of these."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    NOT_STARTED = "notStarted"


#: Statuses that count against `maxFailures`.
COUNTS_AS_FAILED = frozenset({ServerStatus.FAILED, ServerStatus.UNREACHABLE, ServerStatus.UNKNOWN})


class RolloutStatus(StrEnum):
    """How a rollout ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INCOMPLETE = "incomplete"
    STOPPED = "stopped"
    ABORTED = "aborted"


class OutputTail(WireModel):
    """The head and the tail of one output stream, as text.

    Attributes:
        text: At most `outputLimit` bytes; where it is cut, a line says how much was left out.
        bytes: How many bytes there were in all.
        truncated: Whether `text` is only a part.
    """

    text: str = ""
    bytes: int = 0
    truncated: bool = False


class StepOutcome(WireModel):
    """What one step did on one server; the first three keys are the seed's."""

    name: str
    success: bool
    error: str | None = None
    type: str = ""
    index: int = 0
    status: str = "succeeded"
    """`succeeded`, `failed`, `cancelled` or `interrupted`."""
    generation: int = 0
    """How often an operator had it retried; the outcome is that of the last time."""
    executions: int = 1
    """How often the handler ran."""
    deliveries: int = 1
    """How often Temporal handed the step to an agent."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outputs: dict[str, JsonValue] = Field(default_factory=dict)
    """What the handler returned; streams of a script are `OutputTail`s under `stdout` and `stderr`."""
    undone: str | None = None
    """`rolledBack`, `rollbackFailed`, `nothingToUndo`, `cannotBeUndone`, or None where no rollback was tried."""
    undo_error: str | None = None


class ServerResult(WireModel):
    """What a rollout did on one server; the first four keys are the seed's."""

    server_id: str
    success: bool
    error: str | None = None
    steps_executed: list[StepOutcome] = Field(default_factory=list)
    status: ServerStatus = ServerStatus.SUCCEEDED
    rolled_back: bool = False
    """Something was undone, and nothing that could be undone is left."""
    rollback_failed: bool = False
    rollback_pending: bool = False
    """It was away for longer than its rollback waits: a person has to run the rollback later."""
    batch: int | None = None
    """Index of its batch, from 0."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outputs_truncated: bool = False
    """Outputs were cut further than each step's own limit, to keep the result bounded."""


class RolloutResult(WireModel):
    """What a rollout did; the first four keys are the seed's.

    Attributes:
        success: True only when every server succeeded.
        servers_patched: Servers that succeeded and were not rolled back.
        servers_failed: Servers that failed, were unreachable or are unknown.
        results: Every server, in the plan's order; over 500 servers, only those that did not succeed.
        counts: Servers by status.
        rolled_back: Servers on which everything was undone.
        rollback_pending: Servers whose rollback did not happen because they were away.
        reason: Why the rollout stopped, in one sentence.
        orders: What operators ordered, the last 200, oldest first.
    """

    success: bool
    servers_patched: int
    servers_failed: int
    results: list[ServerResult]
    rollout_id: str = ""
    rollback_of: str | None = None
    """The rollout that this one undid; its servers `succeeded` when they are as they were before."""
    name: str = ""
    status: RolloutStatus = RolloutStatus.SUCCEEDED
    reason: str | None = None
    actor: str | None = None
    counts: dict[str, int] = Field(default_factory=dict)
    rolled_back: int = 0
    rollback_failed: int = 0
    rollback_pending: int = 0
    orders: list[OrderRecord] = Field(default_factory=list)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    results_omitted: int = 0
    """Succeeded servers that are counted but not listed."""
    warnings: list[str] = Field(default_factory=list)


class InvalidPlanDetails(WireModel):
    """Details of an `InvalidPlan` failure."""

    problems: list[Problem] = Field(default_factory=list)


def json_of(model: WireModel) -> dict[str, Any]:
    """Return a model as plain JSON data, with its wire keys."""
    return model.model_dump(mode="json", by_alias=True)
