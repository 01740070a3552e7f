"""How a rollout ended, read from how its workflow was closed."""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    TerminatedError,
)
from temporalio.exceptions import (
    TimeoutError as WorkflowTimeout,
)

from kitsune import names
from kitsune.models.problems import Problem
from kitsune.models.results import InvalidPlanDetails, RolloutResult

_WITH_RESULT = frozenset({names.FAILURE_ROLLOUT_STOPPED, names.FAILURE_ROLLOUT_ABORTED})


@dataclass(frozen=True)
class Finished:
    """The rollout came to its own end: all went well, it stopped, or it was aborted."""

    result: RolloutResult


@dataclass(frozen=True)
class Refused:
    """The plan was refused before any server was touched."""

    message: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class CutShort:
    """Temporal closed the workflow from outside or it broke: nobody has put the servers in order.

    Attributes:
        state: `terminated`, `timedOut`, `canceled` or `failed`, as Temporal calls it.
    """

    state: str
    message: str


Outcome = Finished | Refused | CutShort


def outcome_of_result(result: Any) -> Outcome:
    """Return the outcome of a workflow that completed with this result."""
    return _finished(result) or CutShort(
        state="failed", message="it completed with a result that is not a rollout's"
    )


def outcome_of_failure(error: WorkflowFailureError) -> Outcome:
    """Return the outcome of a workflow that was closed in any other way."""
    cause = error.cause
    if isinstance(cause, TerminatedError):
        return CutShort(state="terminated", message=f"terminated in Temporal: {cause.message}")
    if isinstance(cause, CancelledError):
        return CutShort(state="canceled", message="cancelled in Temporal before it could react")
    if isinstance(cause, WorkflowTimeout):
        return CutShort(state="timedOut", message="it ran longer than its time limit in Temporal")
    if not isinstance(cause, ApplicationError):
        return CutShort(state="failed", message=str(cause))
    detail = cause.details[0] if cause.details else None
    if cause.type == names.FAILURE_INVALID_PLAN:
        return Refused(message=cause.message, problems=_problems(detail))
    finished = _finished(detail) if cause.type in _WITH_RESULT else None
    return finished or CutShort(state="failed", message=cause.message)


def _finished(result: Any) -> Finished | None:
    try:
        return Finished(RolloutResult.model_validate(result))
    except ValidationError:
        return None


def _problems(detail: Any) -> tuple[Problem, ...]:
    try:
        return tuple(InvalidPlanDetails.model_validate(detail).problems)
    except ValidationError:
        return ()
