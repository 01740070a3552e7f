"""What the undoing of several steps amounts to."""

from collections.abc import Sequence
from dataclasses import dataclass

from kitsune.models.results import StepOutcome


@dataclass(frozen=True)
class Undone:
    """Whether a server was put back.

    Attributes:
        rolled_back: A rollback was tried, and everything that could be undone was.
        rollback_failed: At least one undo failed.
    """

    rolled_back: bool
    rollback_failed: bool
    error: str | None


def how_undone(outcomes: Sequence[StepOutcome]) -> Undone:
    """Return what the undone steps of a server amount to."""
    tried = [outcome for outcome in outcomes if outcome.undone is not None]
    failed = [outcome for outcome in tried if outcome.undone == "rollbackFailed"]
    error = "; ".join(f"undo of {outcome.name!r}: {outcome.undo_error}" for outcome in failed)
    return Undone(
        rolled_back=bool(tried) and not failed, rollback_failed=bool(failed), error=error or None
    )
