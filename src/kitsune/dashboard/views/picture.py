"""One picture of a rollout, whether it runs, has ended, or only its row in the list is known."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from kitsune.dashboard.views.looks import shown_state
from kitsune.errors import Conflict
from kitsune.models.orders import Gate, OrderRecord
from kitsune.models.plan import Plan
from kitsune.models.progress import Progress, ServerProgress, progress_of_result
from kitsune.models.results import RolloutResult, ServerResult, ServerStatus
from kitsune.rollout.batches import Batch, split_into_batches
from kitsune.rollout.gates import gate_after
from kitsune.rollout.limits import limit_text
from kitsune.service.again import after_rollback, ends_of, ends_of_progress, left_to_undo
from kitsune.service.listing import RolloutRow
from kitsune.service.outcomes import CutShort, Finished, Outcome, Refused

_ENDS = frozenset(status.value for status in ServerStatus)


@dataclass(frozen=True)
class BatchPicture:
    """One batch.

    Attributes:
        counts: Its servers by shown state.
        gate: The gate behind it; empty where the next batch simply starts.
        wait_after: Seconds of soak or delay behind it.
        state: `pending`, `running` or `done`.
    """

    index: int
    canary: bool
    servers: tuple[ServerProgress, ...]
    counts: Mapping[str, int]
    state: str
    gate: str = ""
    wait_after: float = 0.0


@dataclass(frozen=True)
class Picture:
    """A rollout as pages show it.

    Attributes:
        known: Whether it is known how each server stands.
        state: A phase or a status, as in the list of rollouts.
        counts: Servers by shown state.
        gate: The gate that is open for a person now.
        orders: What operators ordered, oldest first.
        reason: Why it stopped.
        problems: Why it was refused.
        cut_short: What closed it from outside; empty for most.
        result: Its whole result, once it has one.
        rollbacks: Ids of the rollouts that have undone it since it ended, oldest first.
        servers_at_end: How its servers stood when it ended, where those rollbacks have changed that.
        left_to_undo: Servers that a rollback would take, once it has ended.
    """

    row: RolloutRow
    known: bool
    state: str
    servers: tuple[ServerProgress, ...] = ()
    batches: tuple[BatchPicture, ...] = ()
    current: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    total: int = 0
    failures: int = 0
    limit_text: str = ""
    gate: Gate | None = None
    orders: tuple[OrderRecord, ...] = ()
    reason: str = ""
    actor: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    wait_until: datetime | None = None
    deadline: datetime | None = None
    rollback_until: datetime | None = None
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    cut_short: str = ""
    result: RolloutResult | None = None
    rollbacks: tuple[str, ...] = ()
    servers_at_end: tuple[ServerProgress, ...] = ()
    left_to_undo: int = 0

    paused: bool = False

    @property
    def pause(self) -> OrderRecord | None:
        """The order that holds it, or None."""
        if not self.paused:
            return None
        return next((order for order in reversed(self.orders) if order.verb == "pause"), None)


def picture_of(
    row: RolloutRow,
    *,
    progress: Progress | None = None,
    outcome: Outcome | None = None,
    plan: Plan | None = None,
    rollbacks: Mapping[str, Mapping[str, ServerResult]] | None = None,
) -> Picture:
    """Return one picture from whatever is known.

    Args:
        row: What Temporal lists.
        progress: While it runs, or the last that was known.
        outcome: How it ended.
        plan: What it was started with.
        rollbacks: Its rollbacks that have ended, oldest first: id -> how its servers ended there.
    """
    if isinstance(outcome, Finished):
        picture = _ended(row, outcome.result, progress=progress, plan=plan)
        return _standing(picture, outcome, progress, plan, rollbacks or {})
    picture = _going(row, progress, plan=plan) if progress and progress.total else _bare(row, plan)
    if isinstance(outcome, Refused):
        problems = [problem.text for problem in outcome.problems] or outcome.message.splitlines()
        return replace(picture, state="refused", problems=tuple(problems))
    if isinstance(outcome, CutShort):
        picture = replace(picture, state=row.state, cut_short=outcome.message)
        return _standing(picture, outcome, progress, plan, rollbacks or {})
    return picture


def _standing(
    picture: Picture,
    outcome: Finished | CutShort,
    progress: Progress | None,
    plan: Plan | None,
    rollbacks: Mapping[str, Mapping[str, ServerResult]],
) -> Picture:
    """Return a picture of an ended rollout with what is undone of it, by itself or by later rollbacks."""
    if plan is None:
        return picture
    try:
        ends = (
            ends_of(plan, outcome.result)
            if isinstance(outcome, Finished)
            else ends_of_progress(plan, progress)
        )
    except Conflict:  # nobody can tell who is who
        return picture
    for undone in rollbacks.values():
        ends = after_rollback(ends, undone)
    picture = replace(picture, left_to_undo=left_to_undo(ends), rollbacks=tuple(rollbacks))
    if not rollbacks:
        return picture
    servers = tuple(_undone(server, ends.get(server.server_id)) for server in picture.servers)
    return replace(
        picture,
        servers=servers,
        servers_at_end=picture.servers,
        batches=_batches(servers, plan, states={}),
        counts=Counter(map(shown_state, servers)),
    )


def _undone(server: ServerProgress, end: ServerResult | None) -> ServerProgress:
    if end is None:
        return server
    return server.model_copy(
        update={
            "rolled_back": end.rolled_back,
            "rollback_failed": end.rollback_failed,
            "rollback_pending": end.rollback_pending,
        }
    )


def server_of(picture: Picture, server_id: str) -> ServerProgress | None:
    """Return how one server stands, or None where the rollout has no such server."""
    return next((server for server in picture.servers if server.server_id == server_id), None)


def _bare(row: RolloutRow, plan: Plan | None) -> Picture:
    """Return what a row in the list tells: numbers, and no server's name but those of the plan."""
    servers = plan.servers if plan else []
    pending = tuple(ServerProgress(server_id=server, state="unasked") for server in servers)
    return Picture(
        row=row,
        known=False,
        state=row.state,
        servers=pending,
        counts=row.counts,
        total=row.total or len(servers),
        failures=sum(row.counts.get(word, 0) for word in ("failed", "unreachable", "unknown")),
        limit_text=limit_text(len(servers), plan.rollout_strategy) if plan else "",
        started_at=row.started_at,
        ended_at=row.ended_at,
        paused=row.paused,
    )


def _going(row: RolloutRow, progress: Progress, *, plan: Plan | None) -> Picture:
    servers = tuple(progress.servers)
    return Picture(
        row=row,
        known=True,
        state=progress.phase.value if row.open else row.state,
        servers=servers,
        batches=_batches(servers, plan, states={b.index: b.state for b in progress.batches}),
        current=progress.batch,
        counts=Counter(map(shown_state, servers)) if servers else progress.counts,
        total=progress.total,
        failures=progress.failures,
        limit_text=progress.limit_text,
        gate=progress.gate if row.open else None,
        orders=tuple(progress.orders),
        reason=progress.reason or "",
        actor=progress.actor or "",
        started_at=progress.started_at or row.started_at,
        ended_at=row.ended_at,
        wait_until=progress.wait_until if row.open else None,
        deadline=progress.deadline if row.open else None,
        rollback_until=progress.rollback_until,
        warnings=tuple(progress.warnings),
        paused=row.open and progress.paused,
    )


def _ended(
    row: RolloutRow, result: RolloutResult, *, progress: Progress | None, plan: Plan | None
) -> Picture:
    listed = {server.server_id: progress_of_result(server) for server in result.results}
    last = {server.server_id: server for server in progress.servers} if progress else {}
    names = plan.servers if plan else list(last) or list(listed)
    servers = tuple(
        listed.get(name)
        # Where a large result leaves servers out, those have succeeded.
        or (last.get(name) or ServerProgress(server_id=name)).model_copy(
            update={"state": ServerStatus.SUCCEEDED.value}
        )
        for name in names
    )
    return Picture(
        row=row,
        known=True,
        state=result.status.value,
        servers=servers,
        batches=_batches(servers, plan, states={}),
        counts=Counter(map(shown_state, servers)),
        total=len(servers) or sum(result.counts.values()),
        failures=result.servers_failed,
        limit_text=limit_text(len(servers), plan.rollout_strategy) if plan else "",
        orders=tuple(result.orders),
        reason=result.reason or "",
        actor=result.actor or "",
        started_at=result.started_at or row.started_at,
        ended_at=result.ended_at or row.ended_at,
        warnings=tuple(result.warnings),
        result=result,
    )


def _batches(
    servers: Sequence[ServerProgress], plan: Plan | None, *, states: Mapping[int, str]
) -> tuple[BatchPicture, ...]:
    """Return batches as the plan makes them; without a plan, as servers tell."""
    by_id = {server.server_id: server for server in servers}
    if plan is not None:
        order = plan.servers[::-1] if plan.rollback_of else list(plan.servers)
        split = split_into_batches(order, plan.rollout_strategy)
        approval = plan.rollout_strategy.approval
        return tuple(
            _batch(
                batch,
                tuple(by_id[name] for name in batch.servers if name in by_id),
                gate=gate_after(batch, split, approval=approval) or "",
                said=states.get(batch.index),
            )
            for batch in split
        )
    groups: dict[int, list[ServerProgress]] = {}
    for server in servers:
        groups.setdefault(server.batch or 0, []).append(server)
    return tuple(
        _batch(Batch(index, (), canary=False, wait_after=0), tuple(group), said=states.get(index))
        for index, group in sorted(groups.items())
    )


def _batch(
    batch: Batch, servers: tuple[ServerProgress, ...], *, gate: str = "", said: str | None
) -> BatchPicture:
    ended = sum(1 for server in servers if server.state in _ENDS)
    begun = ended or any(server.state != "pending" for server in servers)
    word = "done" if servers and ended == len(servers) else "running" if begun else "pending"
    return BatchPicture(
        index=batch.index,
        canary=batch.canary,
        servers=servers,
        counts=Counter(map(shown_state, servers)),
        state=said or word,
        gate=gate,
        wait_after=batch.wait_after,
    )
