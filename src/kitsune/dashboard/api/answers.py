"""What the API answers, each with a model; fields are only ever added."""

from datetime import datetime
from typing import Any

from pydantic import Field

from kitsune.dashboard.views.events import Event
from kitsune.models.base import WireModel
from kitsune.models.logs import LogList, LogPage
from kitsune.models.orders import Gate, OrderRecord
from kitsune.models.progress import BatchProgress, ServerProgress
from kitsune.models.results import StepOutcome
from kitsune.planfile.document import Located
from kitsune.rollout.preview import Preview
from kitsune.service.listing import RolloutRow, WorkerRow

__all__ = ["LogList", "LogPage"]


class PlanProblem(WireModel):
    """One thing that is wrong with a plan or a request.

    Attributes:
        path: Where, as in `steps[2].params.duration`; empty for the whole.
        line: In the text, from 1; None where the plan came as an object.
    """

    path: str = ""
    message: str
    value: str | None = None
    hint: str | None = None
    line: int | None = None
    column: int | None = None

    @classmethod
    def of(cls, located: Located) -> "PlanProblem":
        """Return a problem as the API tells it."""
        problem, place = located.problem, located.place
        return cls(
            path=problem.path,
            message=problem.message,
            value=None if problem.sensitive else problem.value,
            hint=problem.hint,
            line=place.line if place else None,
            column=place.column if place else None,
        )


class Failure(WireModel):
    """Why a request failed, as RFC 9457 has it."""

    title: str
    """The words of the status."""
    status: int
    detail: str
    """In one sentence."""
    problems: list[PlanProblem] = Field(default_factory=list)


class RolloutItem(WireModel):
    """One rollout in a list; the same keys as `kitsune list -o json`."""

    rollout_id: str
    name: str
    state: str
    open: bool
    total: int | None = None
    counts: dict[str, int] = Field(default_factory=dict)
    """Servers by state, when the rollout last said."""
    rollback_failed: int = 0
    rollback_pending: int = 0
    paused: bool = False
    gate: str | None = None
    held: int = 0
    origin: str | None = None
    """The rollout that it follows, as in `retry of web-1`."""
    started_by: str | None = None
    started_at: datetime
    ended_at: datetime | None = None

    @classmethod
    def fields_of(cls, row: RolloutRow) -> dict[str, Any]:
        """Return the fields of a row."""
        return {
            "rollout_id": row.rollout_id,
            "name": row.name,
            "state": row.state,
            "open": row.open,
            "total": row.total,
            "counts": row.counts,
            "rollback_failed": row.rollback_failed,
            "rollback_pending": row.rollback_pending,
            "paused": row.paused,
            "gate": row.gate or None,
            "held": row.held,
            "origin": row.origin or None,
            "started_by": row.started_by or None,
            "started_at": row.started_at,
            "ended_at": row.ended_at,
        }


class RolloutPage(WireModel):
    """Some rollouts, newest first."""

    rollouts: list[RolloutItem]
    total: int
    """All that match."""
    at: datetime | None = None
    """When Temporal last said so."""
    trouble: str | None = None
    """Why this may be out of date."""


class Rollout(RolloutItem):
    """One rollout, without its servers."""

    phase: str | None = None
    """What it is doing, or how it ended."""
    batch: int | None = None
    batches: list[BatchProgress] = Field(default_factory=list)
    failures: int = 0
    limit_text: str = ""
    """The stop rule in words."""
    open_gate: Gate | None = None
    wait_until: datetime | None = None
    deadline: datetime | None = None
    orders: list[OrderRecord] = Field(default_factory=list)
    reason: str | None = None
    """Why it stopped."""
    warnings: list[str] = Field(default_factory=list)
    problems: list[str] = Field(default_factory=list)
    """Why its plan was refused."""
    cut_short: str | None = None
    """What closed it from outside."""
    success: bool | None = None
    """Whether every server succeeded; None while that is open, or where nobody knows."""
    at: datetime
    trouble: str | None = None


class ServerPage(WireModel):
    """Some servers of a rollout, in the plan's order."""

    servers: list[ServerProgress]
    total: int
    at: datetime
    trouble: str | None = None


class StepAtWork(WireModel):
    """The step that a server runs just now."""

    name: str
    index: int
    type: str
    started_at: datetime | None = None
    delivery: int = 1
    last_failure: str = ""
    said: dict[str, str] = Field(default_factory=dict)
    """The last lines of each stream."""
    undoing: bool = False


class Server(ServerProgress):
    """One server in a rollout."""

    steps: list[StepOutcome] = Field(default_factory=list)
    """Those that have ended."""
    at_work: StepAtWork | None = None
    at: datetime
    trouble: str | None = None


class EventItem(WireModel):
    """One thing that happened."""

    at: datetime
    text: str
    actor: str | None = None
    reason: str | None = None
    server: str | None = None

    @classmethod
    def of(cls, event: Event) -> "EventItem":
        """Return an event as the API tells it."""
        return cls(
            at=event.at,
            text=event.text,
            actor=event.actor or None,
            reason=event.reason or None,
            server=event.server or None,
        )


class Events(WireModel):
    """What happened in a rollout, newest first."""

    events: list[EventItem]
    trouble: str | None = None


class PlanShown(WireModel):
    """The plan of a rollout; what is secret is not in it."""

    plan: dict[str, Any]


class Begun(WireModel):
    """A rollout that was started, or that there was already."""

    rollout_id: str
    started: str
    """`started`, `alreadyRunning` or `alreadyFinished`."""


class Obeyed(WireModel):
    """What became of an order."""

    rollout_id: str
    """The rollout to look at now: a retry or rollback of an ended one is another."""
    accepted: str
    """`accepted`, `onRecord` (no orchestration worker answers yet) or `started` (another rollout)."""
    answer: str


class Validation(WireModel):
    """What there is to say about a plan."""

    valid: bool
    problems: list[PlanProblem] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    unknown_types: list[str] = Field(default_factory=list)
    """Step types that only the servers can know."""
    preview: Preview | None = None


class Worker(WireModel):
    """One worker, as Temporal last heard of it."""

    queue: str
    """The server's id, for a local worker."""
    identity: str
    host: str
    version: str
    heard_at: datetime
    state: str
    """`online`, `stopping`, `stopped` or `silent`."""

    @classmethod
    def of(cls, row: WorkerRow) -> "Worker":
        """Return a worker as the API tells it."""
        return cls(
            queue=row.queue,
            identity=row.identity,
            host=row.host,
            version=row.version,
            heard_at=row.heard_at,
            state=row.state,
        )


class FleetItem(WireModel):
    """All workers that Temporal has heard of in the last minutes."""

    servers: list[Worker]
    orchestrators: list[Worker]
    at: datetime
    trouble: str | None = None


class Me(WireModel):
    """Who is asking."""

    name: str
    role: str
