"""What the `progress` query answers while a rollout runs, small enough for any fleet."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from kitsune.models.base import WireModel
from kitsune.models.orders import Gate, OrderRecord
from kitsune.models.results import ServerResult


class Phase(StrEnum):
    """What a rollout is doing."""

    VALIDATING = "validating"
    PREFLIGHT = "preflight"
    RUNNING = "running"
    SOAKING = "soaking"
    WAITING = "waiting"
    APPROVAL = "approval"
    STOPPING = "stopping"
    ROLLING_BACK = "rollingBack"
    DONE = "done"


class ServerProgress(WireModel):
    """One server, as the rollout sees it.

    `state` is a ServerStatus, or `pending`, `waiting` (another rollout holds it), `waitingForAgent`, `running`,
    `held` (a step failed, and a person decides), `rollingBack` or `rollbackPending` (its rollback waits for it).
    """

    server_id: str
    state: str = "pending"
    batch: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    """At most 600 characters."""
    failed_step: str | None = None
    rolled_back: bool = False
    rollback_failed: bool = False
    rollback_pending: bool = False


def progress_of_result(result: ServerResult) -> ServerProgress:
    """Return a server that has ended as a rollout's progress tells it; its error is not shortened."""
    broken = next((step for step in reversed(result.steps_executed) if not step.success), None)
    return ServerProgress(
        server_id=result.server_id,
        state=result.status.value,
        batch=result.batch,
        started_at=result.started_at,
        ended_at=result.ended_at,
        error=result.error,
        failed_step=broken.name if broken and not result.success else None,
        rolled_back=result.rolled_back,
        rollback_failed=result.rollback_failed,
        rollback_pending=result.rollback_pending,
    )


class BatchProgress(WireModel):
    """One batch."""

    index: int
    canary: bool = False
    servers: int
    ended: int = 0
    state: str = "pending"
    """`pending`, `running` or `done`."""


class Progress(WireModel):
    """Answer of `progress(offset, limit)`.

    Attributes:
        limit_text: How many may fail, in words, as in "2 failures allowed".
        wait_until: End of the current soak or delay.
        paused: Whether an operator holds the rollout; the last `pause` of `orders` says who and why.
        gate: What waits for an approval.
        orders: The last 20 orders, oldest first.
        deadline: When the rollout stops, pauses not counted.
        rollback_until: Until when pending rollbacks wait for their servers.
        servers: The asked page, in the plan's order.
        next_offset: Where the next page starts, or None at the end.
    """

    rollout_id: str = ""
    name: str = ""
    phase: Phase = Phase.VALIDATING
    total: int = 0
    counts: dict[str, int] = Field(default_factory=dict)
    """Servers by state."""
    batch: int | None = None
    batches: list[BatchProgress] = Field(default_factory=list)
    """All of them, or the 50 around the current one."""
    batch_count: int = 0
    failures: int = 0
    limit_text: str = ""
    wait_until: datetime | None = None
    paused: bool = False
    gate: Gate | None = None
    orders: list[OrderRecord] = Field(default_factory=list)
    deadline: datetime | None = None
    rollback_until: datetime | None = None
    reason: str | None = None
    actor: str | None = None
    started_at: datetime | None = None
    warnings: list[str] = Field(default_factory=list)
    servers: list[ServerProgress] = Field(default_factory=list)
    next_offset: int | None = None


class ProgressRequest(WireModel):
    """Argument of the `progress` query."""

    offset: int = 0
    limit: int = 200
