"""The list of rollouts: what runs as cards, the rest as a table, filters in the address."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from kitsune.dashboard.views.header import Count, Segment, bar_of, counts_of
from kitsune.dashboard.views.looks import Sign, rollout_sign
from kitsune.dashboard.views.times import ago, clock, lasted
from kitsune.service.listing import RolloutRow

#: Filter -> states of rollouts in it; none: by what waits for a person.
_FILTERS: Mapping[str, tuple[str, frozenset[str]]] = {
    "": ("All", frozenset()),
    "running": ("Running", frozenset()),
    "attention": ("Needs a person", frozenset()),
    "succeeded": ("Succeeded", frozenset({"succeeded"})),
    "failed": (
        "Failed or stopped",
        frozenset({"failed", "stopped", "refused", "terminated", "timedOut", "canceled"}),
    ),
    "aborted": ("Aborted", frozenset({"aborted"})),
    "incomplete": ("Incomplete", frozenset({"incomplete"})),
}


@dataclass(frozen=True)
class Chip:
    """One filter: its address, and how many rollouts it holds."""

    label: str
    url: str
    count: int
    chosen: bool


@dataclass(frozen=True)
class Line:
    """One rollout.

    Attributes:
        wants: What it waits for a person to do; empty for most.
    """

    rollout_id: str
    name: str
    sign: Sign
    bar: tuple[Segment, ...]
    counts: tuple[Count, ...]
    total: str
    started_at: datetime
    started: str
    took: str
    origin: str
    wants: str
    open: bool


@dataclass(frozen=True)
class RolloutsPage:
    """The list of rollouts."""

    running: tuple[Line, ...]
    ended: tuple[Line, ...]
    chips: tuple[Chip, ...]
    search: str
    chosen: str
    total: int


def rollouts_page(
    rows: Sequence[RolloutRow], query: Mapping[str, str], *, now: datetime
) -> RolloutsPage:
    """Return the rollouts that an address asks for: `state` (a filter) and `q` (a part of id or name)."""
    chosen = query.get("state", "")
    chosen = chosen if chosen in _FILTERS else ""
    search = query.get("q", "").strip()
    found = [row for row in rows if _speaks_of(row, search)]
    shown = [_line(row, now) for row in found if _is_in(row, chosen)]
    return RolloutsPage(
        running=tuple(line for line in shown if line.open),
        ended=tuple(line for line in shown if not line.open),
        chips=tuple(
            Chip(
                label,
                _url(key, search),
                sum(1 for row in found if _is_in(row, key)),
                key == chosen,
            )
            for key, (label, _) in _FILTERS.items()
        ),
        search=search,
        chosen=chosen,
        total=len(rows),
    )


def wants_of(row: RolloutRow) -> str:
    """Return what a rollout waits for a person to do, or empty."""
    wants = []
    if row.gate:
        wants.append(f"gate {row.gate} waits for approval")
    if row.held:
        wants.append(f"{row.held} held server{'' if row.held == 1 else 's'} to decide about")
    if row.paused:
        wants.append("paused")
    if row.rollback_failed:
        wants.append(f"rollback failed on {row.rollback_failed}")
    if row.rollback_pending:
        wants.append(f"rollback pending on {row.rollback_pending}")
    return ", ".join(wants)


def _url(state: str, search: str) -> str:
    pairs = {key: value for key, value in (("state", state), ("q", search)) if value}
    return f"/rollouts?{urlencode(pairs)}" if pairs else "/rollouts"


def _is_in(row: RolloutRow, chosen: str) -> bool:
    if not chosen:
        return True
    if chosen == "running":
        return row.open
    if chosen == "attention":
        return bool(wants_of(row))
    return not row.open and row.state in _FILTERS[chosen][1]


def _speaks_of(row: RolloutRow, search: str) -> bool:
    word = search.lower()
    return word in row.rollout_id.lower() or word in row.name.lower()


def _line(row: RolloutRow, now: datetime) -> Line:
    total = row.total or sum(row.counts.values())
    counts = dict(row.counts)
    return Line(
        rollout_id=row.rollout_id,
        name=row.name,
        sign=rollout_sign(row.state, paused=row.paused, gate=bool(row.gate)),
        bar=bar_of(counts, total=total),
        counts=counts_of(counts),
        total=f"{total:,}" if total else "",
        started_at=row.started_at,
        started=ago(row.started_at, now),
        took=clock(now - row.started_at) if row.open else lasted(row.started_at, row.ended_at),
        origin=row.origin,
        wants=wants_of(row),
        open=row.open,
    )
