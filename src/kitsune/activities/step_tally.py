"""Counts what a server does with its steps, in figures that Prometheus reads."""

from collections.abc import Collection

from kitsune import metrics
from kitsune.measures import Measures
from kitsune.models.results import StepOutcome

#: Types of steps beyond this many share one label: plans of strangers must not fill a monitoring system.
_MOST_TYPES = 50
_OTHER = "other"


class StepTally:
    """The `Tally` of a local worker."""

    def __init__(self, measures: Measures, types: Collection[str] = ()) -> None:
        """Take what writes the figures, and the step types that can happen here."""
        self._measures = measures
        self._types = set(types)
        measures.begin_at_zero(metrics.STEPS, metrics.UNDOS, step_type=types)
        measures.begin_at_zero(
            metrics.STEP_DELIVERIES, metrics.EXECUTIONS_INTERRUPTED, metrics.PREFLIGHT_REFUSALS
        )

    def delivered(self, handled: str) -> None:
        """Count a delivery by what it led to."""
        self._measures.count(metrics.STEP_DELIVERIES, handled=handled)

    def interrupted(self) -> None:
        """Count an execution of which nobody knows how far it came."""
        self._measures.count(metrics.EXECUTIONS_INTERRUPTED)

    def ended(self, phase: str, outcome: StepOutcome) -> None:
        """Count a step or an undo that ended for good."""
        if phase == "rollback":
            self.undone(outcome.type, "rolledBack" if outcome.success else "rollbackFailed")
            return
        step_type = self._known(outcome.type)
        self._measures.count(metrics.STEPS, step_type=step_type, outcome=outcome.status)
        if outcome.started_at and outcome.ended_at:
            took = outcome.ended_at - outcome.started_at
            self._measures.record(metrics.STEP_DURATION, took, step_type=step_type)

    def undone(self, step_type: str, outcome: str) -> None:
        """Count an undo, also one for which there was nothing to do."""
        self._measures.count(metrics.UNDOS, step_type=self._known(step_type), outcome=outcome)

    def refused(self, reason: str) -> None:
        """Count a preflight that was answered with a refusal."""
        self._measures.count(metrics.PREFLIGHT_REFUSALS, reason=reason)

    def _known(self, step_type: str) -> str:
        if step_type not in self._types and len(self._types) >= _MOST_TYPES:
            return _OTHER
        self._types.add(step_type)
        return step_type
