"""What the undoing of several steps amounts to."""

from collections.abc import Sequence
from dataclasses import dataclass

from kitsune.models.results import StepOutcome


@dataclass(frozen=True)
class Undone:
    """Whether a server was put back.

    Attributes:
        rolled_back: Something was undone, and nothing that could be undone is left.
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
        rolled_back=not failed and any(outcome.undone == "rolledBack" for outcome in tried),
        rollback_failed=bool(failed),
        error=error or None,
    )
