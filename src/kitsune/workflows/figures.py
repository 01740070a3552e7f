"""What a rollout counts for Prometheus; nothing is counted during a replay."""

from itertools import islice

from temporalio import workflow

from kitsune import metrics
from kitsune.measures import Measures
from kitsune.models.results import RolloutResult
from kitsune.workflows.state import RolloutState


class Figures:
    """The counters of one rollout."""

    def __init__(self) -> None:
        self._measures = Measures(workflow.metric_meter())
        self._seen = 0

    def begin(self) -> None:
        """Count a rollout whose plan was accepted."""
        self._measures.count(metrics.ROLLOUTS_STARTED)

    def changed(self, state: RolloutState) -> None:
        """Count the servers that have ended since the last time."""
        statuses = state.ledger.statuses
        for status in islice(statuses.values(), self._seen, None):
            self._measures.count(metrics.SERVERS_ENDED, status=status.value)
        self._seen = len(statuses)

    def end(self, state: RolloutState, result: RolloutResult) -> None:
        """Count how a rollout ended, and what became of the servers that it undid."""
        self.changed(state)
        self._measures.count(metrics.ROLLOUTS_ENDED, status=result.status.value)
        undone = {
            "rolledBack": sum(found.rolled_back for found in state.results.values()),
            "failed": sum(found.rollback_failed for found in state.results.values()),
            "pending": sum(found.rollback_pending for found in state.results.values()),
        }
        for outcome, count in undone.items():
            if count:
                self._measures.count(metrics.SERVERS_UNDONE, count, outcome=outcome)

    def refused(self) -> None:
        """Count a rollout that was refused by its servers."""
        self._measures.count(metrics.ROLLOUTS_ENDED, status="refused")
