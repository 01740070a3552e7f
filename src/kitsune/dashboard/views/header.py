"""The head of a rollout's page: what it is, how far it is, what it waits for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from kitsune.dashboard.views.looks import Look, Sign, in_order, look_of, rollout_sign
from kitsune.dashboard.views.picture import Picture
from kitsune.dashboard.views.times import clock, hour

#: Units of a bar's width.
BAR_WIDTH = 1000
#: States that are the empty part of a bar.
_EMPTY = frozenset({"pending", "notStarted", "unasked"})
_LEAST_SEGMENT = 6


@dataclass(frozen=True)
class Segment:
    """A part of a bar, in thousandths of its width."""

    look: Look
    x: int
    width: int


@dataclass(frozen=True)
class Count:
    """How many servers are in a state."""

    state: str
    look: Look
    number: int


@dataclass(frozen=True)
class Fact:
    """One fact in a head: its name and what it is; `since` is a moment from which a page counts on."""

    name: str
    text: str
    tone: str = ""
    since: datetime | None = None


@dataclass(frozen=True)
class Head:
    """The head of a rollout's page.

    Attributes:
        ended: Servers that have come to an end, of `total`.
    """

    sign: Sign
    facts: tuple[Fact, ...]
    bar: tuple[Segment, ...]
    counts: tuple[Count, ...]
    ended: int
    total: int


def head_of(picture: Picture, *, now: datetime) -> Head:
    """Return the head of a rollout's page."""
    ended = sum(
        count
        for state, count in picture.counts.items()
        if look_of(state).tone != "busy" and state not in _EMPTY
    )
    return Head(
        sign=rollout_sign(picture.state, paused=picture.paused, gate=picture.gate is not None),
        facts=tuple(_facts(picture, now=now)),
        bar=bar_of(picture.counts, total=picture.total),
        counts=counts_of(picture.counts),
        ended=ended,
        total=picture.total,
    )


def counts_of(counts: Mapping[str, int]) -> tuple[Count, ...]:
    """Return the numbers of servers by state, in the order of states."""
    return tuple(Count(state, look_of(state), number) for state, number in in_order(counts))


def bar_of(counts: Mapping[str, int], *, total: int) -> tuple[Segment, ...]:
    """Return the parts of a bar, from the left; what has not begun stays empty.

    Every state gets a part that can be seen, however few servers are in it.
    """
    begun = [(look_of(state), count) for state, count in in_order(counts) if state not in _EMPTY]
    # What went well stands first: a bar fills from the left.
    begun.sort(key=lambda part: ("ok", "busy", "warn", "away", "bad", "idle").index(part[0].tone))
    if not begun or total <= 0:
        return ()
    widths = [max(_LEAST_SEGMENT, round(BAR_WIDTH * count / total)) for _, count in begun]
    while sum(widths) > BAR_WIDTH:
        widths[widths.index(max(widths))] -= sum(widths) - BAR_WIDTH
    segments, x = [], 0
    for (look, _), width in zip(begun, widths, strict=True):
        segments.append(Segment(look, x, width))
        x += width
    return tuple(segments)


def _facts(picture: Picture, *, now: datetime) -> list[Fact]:
    facts = []
    if picture.started_at:
        end = picture.ended_at or now
        running = picture.started_at if picture.row.open else None
        took = clock(end - picture.started_at)
        facts.append(Fact("elapsed" if running else "took", took, since=running))
        facts.append(Fact("started", hour(picture.started_at, now) + " UTC"))
    count = len(picture.batches)
    if picture.row.open and picture.current is not None and count > 1:
        batch = picture.batches[picture.current] if picture.current < count else None
        canary = " canary" if batch and batch.canary else ""
        facts.append(Fact("batch", f"{picture.current + 1} of {count}{canary}"))
    elif count > 1:
        facts.append(Fact("batches", str(count)))
    if picture.total:
        rule = f", {picture.limit_text}" if picture.limit_text else ""
        noun = "failure" if picture.failures == 1 else "failures"
        tone = "bad" if picture.failures else ""
        facts.append(Fact("budget", f"{picture.failures} {noun}{rule}", tone=tone))
    facts += _ends(picture, now=now)
    return facts


def _ends(picture: Picture, *, now: datetime) -> list[Fact]:
    """Return what will end by itself, and when."""
    facts = []
    if picture.wait_until and picture.wait_until > now:
        left = clock(picture.wait_until - now)
        facts.append(Fact("waits", f"{left} more, until {hour(picture.wait_until, now)} UTC"))
    if picture.deadline:
        facts.append(Fact("deadline", hour(picture.deadline, now) + " UTC"))
    if left_over := estimate(picture, now=now):
        facts.append(Fact("estimate", f"about {left_over} more"))
    return facts


def estimate(picture: Picture, *, now: datetime) -> str:
    """Return how long the rest may take, from how long servers took so far; empty where nobody can tell."""
    if not picture.row.open or picture.paused or picture.gate or not picture.started_at:
        return ""
    ended = sum(1 for server in picture.servers if server.ended_at)
    left = len(picture.servers) - ended
    if picture.state != "running" or ended < 1 or not left:
        return ""
    seconds = (now - picture.started_at).total_seconds() / ended * left
    rounded = timedelta(seconds=max(1, round(seconds)))
    minute = timedelta(minutes=1)
    return f"{rounded.seconds} s" if rounded < minute else f"{max(1, rounded // minute)} min"
