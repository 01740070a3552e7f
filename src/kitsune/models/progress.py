"""What the `progress` query answers while a rollout runs, small enough for any fleet."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from kitsune.models.base import WireModel


class Phase(StrEnum):
    """What a rollout is doing."""

    VALIDATING = "validating"
    PREFLIGHT = "preflight"
    RUNNING = "running"
    SOAKING = "soaking"
    WAITING = "waiting"
    STOPPING = "stopping"
    ROLLING_BACK = "rollingBack"
    DONE = "done"


class ServerProgress(WireModel):
    """One server, as the rollout sees it.

    `state` is a ServerStatus, or `pending`, `waiting` (another rollout holds it), `running` or `rollingBack`.
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
        limit_text: The stop rule in words, as in "stops at the 3rd failure".
        wait_until: End of the current soak or delay.
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
