"""The words of a report that all its forms share: times, states, the last lines of an output."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from kitsune.models.durations import format_duration
from kitsune.models.printable import safe
from kitsune.models.results import StepOutcome
from kitsune.report.record import Record

STATES: Mapping[str, str] = {
    "rollingBack": "rolling back",
    "rollbackPending": "rollback pending",
    "waitingForAgent": "waiting for agent",
    "notStarted": "not started",
}
#: States of servers with which something is wrong.
BAD = frozenset({"failed", "unreachable", "unknown"})
_LINES = 20


def clean(text: str) -> str:
    """Return text as lines that hold no control character."""
    return safe(text, lines=True)


def moment(time: datetime | None) -> str:
    """Return a time in UTC, to the second."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if time else ""


def lasted(started_at: datetime | None, ended_at: datetime | None) -> str:
    """Return how long something took, or nothing where that is not known."""
    if started_at is None or ended_at is None:
        return ""
    seconds = max(0, round((ended_at - started_at).total_seconds()))
    return format_duration(timedelta(seconds=seconds))


def word(state: str) -> str:
    """Return a state for people."""
    return STATES.get(state, state)


def facts(record: Record) -> list[tuple[str, str]]:
    """Return what stands at the top of a report, as pairs."""
    plan = record.plan
    rows = [
        ("Rollout", record.rollout_id),
        ("Plan", record.name),
        ("Outcome", record.headline),
        ("Reason", record.reason),
        ("Started", moment(record.started_at)),
        ("Ended", moment(record.ended_at)),
        ("Took", lasted(record.started_at, record.ended_at)),
        ("Strategy", plan.rollout_strategy.type if plan else ""),
        ("Servers", counted(record)),
    ]
    return [(name, clean(value)) for name, value in rows if value]


def counted(record: Record) -> str:
    """Return `198 succeeded, 2 failed`."""
    return ", ".join(f"{count} {word(state)}" for state, count in record.counts.items() if count)


def last_output(step: StepOutcome, *, lines: int = _LINES) -> list[tuple[str, str]]:
    """Return the last lines of a step's output streams, as (stream, text); of those that have any."""
    found = []
    for stream in ("stdout", "stderr"):
        kept: Any = step.outputs.get(stream)
        text = kept.get("text") if isinstance(kept, dict) else None
        if isinstance(text, str) and text.strip():
            found.append((stream, clean("\n".join(text.rstrip().splitlines()[-lines:]))))
    return found
