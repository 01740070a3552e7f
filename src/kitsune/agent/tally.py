"""Who counts what a server does with its operations; nobody, unless somebody wants figures."""

from typing import Protocol

from kitsune.models.results import StepOutcome


class Tally(Protocol):
    """Counts; must not fail and must not wait."""

    def delivered(self, handled: str) -> None:
        """Note what became of one delivery of an operation.

        Args:
            handled: `begun`, `attached` to what runs in this process, `resumed` after a dead agent, or
                `answered` from the journal.
        """

    def interrupted(self) -> None:
        """Note an execution of which nobody knows how far it came."""

    def ended(self, phase: str, outcome: StepOutcome) -> None:
        """Note how an operation ended for good, once for each operation.

        Args:
            phase: `execute` or `rollback`.
            outcome: Its last word.
        """


class Uncounted:
    """Counts nothing."""

    def delivered(self, handled: str) -> None:
        """Count nothing."""

    def interrupted(self) -> None:
        """Count nothing."""

    def ended(self, phase: str, outcome: StepOutcome) -> None:
        """Count nothing."""
