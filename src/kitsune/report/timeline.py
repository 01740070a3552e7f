"""The timeline of a rollout: which server worked when, and at which step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from kitsune.report.record import Record, ServerRecord
from kitsune.report.words import BAD, lasted

#: Servers with a line of their own; of more, those that say most come first.
MOST_SERVERS = 1000


@dataclass(frozen=True)
class Segment:
    """A part of a server's time, as shares of the whole span.

    Attributes:
        kind: `step` or `failed`; `server` where its steps are not known.
        start, length: From 0 to 1.
    """

    title: str
    kind: str
    start: float
    length: float


@dataclass(frozen=True)
class Row:
    """The time of one server."""

    server: ServerRecord
    segments: tuple[Segment, ...]


def timeline(record: Record) -> tuple[list[Row], int]:
    """Return the rows, in the plan's order, and how many servers are left out."""
    if record.span is None:
        return [], 0
    begun = [server for server in record.servers if server.started_at]
    shown = {server.server_id for server in _telling(begun)}
    start, end = record.span
    rows = [
        Row(server, tuple(_segments(server, record.made_at, start, end)))
        for server in begun
        if server.server_id in shown
    ]
    return rows, len(begun) - len(rows)


def _telling(servers: Sequence[ServerRecord]) -> list[ServerRecord]:
    """Return the servers that say most: those that did not succeed, then those that took longest."""

    def took(server: ServerRecord) -> float:
        if server.started_at is None or server.ended_at is None:
            return 0
        return (server.ended_at - server.started_at).total_seconds()

    ranked = sorted(servers, key=lambda server: (server.state == "succeeded", -took(server)))
    return ranked[:MOST_SERVERS]


def _segments(
    server: ServerRecord, now: datetime, start: datetime, end: datetime
) -> Iterator[Segment]:
    whole = max((end - start).total_seconds(), 0.001)

    def share(begin: datetime, finish: datetime) -> tuple[float, float]:
        first = min(max((begin - start).total_seconds() / whole, 0), 1)
        last = min(max((finish - start).total_seconds() / whole, first), 1)
        return first, last - first

    timed = [step for step in server.steps if step.started_at and step.ended_at]
    for step in timed:
        if step.started_at and step.ended_at:
            kind = "step" if step.success else "failed"
            took = lasted(step.started_at, step.ended_at)
            title = f"{step.index + 1} {step.name}: {step.status} in {took}"
            yield Segment(title, kind, *share(step.started_at, step.ended_at))
    if timed or server.started_at is None:
        return
    until = server.ended_at or now
    kind = "failed" if server.state in BAD else "server"
    title = f"{server.state} after {lasted(server.started_at, until)}"
    yield Segment(title, kind, *share(server.started_at, until))
