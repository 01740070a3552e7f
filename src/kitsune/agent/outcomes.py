"""Puts into words how an execution ended."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kitsune.agent.journal import Entry, Operation
from kitsune.models.results import StepOutcome
from kitsune.rollout.bounds import shorten

_LONGEST_MESSAGE = 1900


def outcome_of(
    operation: Operation,
    entry: Entry,
    *,
    error: str | None,
    status: str,
    outputs: Mapping[str, Any] | None = None,
) -> StepOutcome:
    """Return the outcome of an execution that has just ended."""
    return StepOutcome(
        name=operation.step_name,
        success=error is None,
        error=shorten(error, _LONGEST_MESSAGE),
        type=operation.step_type or "",
        index=operation.step_index,
        status=status,
        executions=entry.executions,
        deliveries=entry.deliveries,
        started_at=entry.started_at,
        ended_at=datetime.now(UTC),
        outputs=dict(outputs or {}),
    )


def unknown(cause: str, left: Sequence[int]) -> str:
    """Return what is told of an execution that ended without a word."""
    error = f"interrupted: {cause} while the step ran, and how far it came is not known"
    return error + (f"; still running: process {', '.join(map(str, left))}" if left else "")


def named(error: BaseException) -> str:
    """Return an exception with its type."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
