"""What a report tells, whatever its form: who ordered what, what became of every server, and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kitsune.models.orders import OrderRecord
from kitsune.models.plan import Plan
from kitsune.models.progress import Progress, ServerProgress
from kitsune.models.results import RolloutResult, ServerResult, ServerStatus, StepOutcome
from kitsune.rollout.causes import Cause, group_by_cause
from kitsune.version import __version__

_WORDS = {
    "succeeded": "succeeded",
    "failed": "finished, with failed servers",
    "incomplete": "finished, not on every server",
    "stopped": "stopped",
    "aborted": "aborted",
}


@dataclass(frozen=True)
class ServerRecord:
    """What became of one server.

    Attributes:
        state: A ServerStatus, or what the server is doing in a rollout that goes on.
        undone: `rolled back`, `rollback failed`, `rollback pending` or empty.
        steps: Those that ran, as far as the rollout has kept them.
    """

    server_id: str
    state: str
    batch: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str = ""
    undone: str = ""
    steps: tuple[StepOutcome, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Record:
    """A rollout, ready to be written down.

    Attributes:
        status: How it ended, or `running`, `refused`, `terminated` and the like.
        headline: The same in words.
        reason: Why it stopped, or was refused.
        made_at: When the report was made.
    """

    rollout_id: str
    name: str
    status: str
    headline: str
    made_at: datetime
    reason: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    orders: tuple[OrderRecord, ...] = ()
    warnings: tuple[str, ...] = ()
    servers: tuple[ServerRecord, ...] = ()
    plan: Plan | None = None
    version: str = __version__

    @property
    def causes(self) -> list[Cause]:
        """Failures by cause, the most frequent first."""
        return group_by_cause(
            (server.server_id, server.error)
            for server in self.servers
            if server.error and server.state != ServerStatus.NOT_STARTED
        )

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """From when to when the timeline goes; None where nothing has begun."""
        begun = [server.started_at for server in self.servers if server.started_at]
        if not begun:
            return None
        ended = [server.ended_at for server in self.servers if server.ended_at]
        start = min([*begun, *([self.started_at] if self.started_at else [])])
        return start, max([self.ended_at or self.made_at, *ended, *begun])


def record_of_result(result: RolloutResult, plan: Plan | None, *, made_at: datetime) -> Record:
    """Return the record of a rollout that came to its own end."""
    servers = {server.server_id: _ended(server) for server in result.results}
    if plan is not None and result.results_omitted:
        # Beyond 500 servers those that succeeded are only counted.
        for server in plan.servers:
            servers.setdefault(server, ServerRecord(server, ServerStatus.SUCCEEDED.value))
    return Record(
        rollout_id=result.rollout_id,
        name=result.name,
        status=result.status.value,
        headline=("rollback " if result.rollback_of else "") + _WORDS[result.status.value],
        reason=result.reason or "",
        made_at=made_at,
        started_at=result.started_at,
        ended_at=result.ended_at,
        counts=result.counts,
        orders=tuple(result.orders),
        warnings=tuple(result.warnings),
        servers=tuple(_in_order(servers, plan)),
        plan=plan,
    )


def record_of_progress(
    progress: Progress, plan: Plan | None, *, made_at: datetime, ended: str = ""
) -> Record:
    """Return the record of a rollout that goes on, or of the last that is known of one that was `ended` from outside."""
    return Record(
        rollout_id=progress.rollout_id,
        name=progress.name,
        status=ended or "running",
        headline=f"{ended}, this is the last that was known"
        if ended
        else "goes on; this is so far",
        reason=progress.reason or "",
        made_at=made_at,
        started_at=progress.started_at,
        counts=progress.counts,
        orders=tuple(progress.orders),
        warnings=tuple(progress.warnings),
        servers=tuple(_running(server) for server in progress.servers),
        plan=plan,
    )


def _in_order(servers: Mapping[str, ServerRecord], plan: Plan | None) -> Sequence[ServerRecord]:
    if plan is None:
        return list(servers.values())
    places = {server: at for at, server in enumerate(plan.servers)}
    return sorted(servers.values(), key=lambda server: places.get(server.server_id, len(places)))


def _ended(server: ServerResult) -> ServerRecord:
    return ServerRecord(
        server_id=server.server_id,
        state=server.status.value,
        batch=server.batch,
        started_at=server.started_at,
        ended_at=server.ended_at,
        error=server.error or "",
        undone=_undone(server),
        steps=tuple(server.steps_executed),
    )


def _running(server: ServerProgress) -> ServerRecord:
    return ServerRecord(
        server_id=server.server_id,
        state=server.state,
        batch=server.batch,
        started_at=server.started_at,
        ended_at=server.ended_at,
        error=server.error or "",
        undone=_undone(server),
    )


def _undone(server: ServerResult | ServerProgress) -> str:
    if server.rollback_failed:
        return "rollback failed"
    if server.rollback_pending:
        return "rollback pending"
    return "rolled back" if server.rolled_back else ""
