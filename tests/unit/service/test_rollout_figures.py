"""The figures of the rollouts that run."""

from datetime import UTC, datetime

from kitsune import metrics
from kitsune.service.listing import RolloutRow
from kitsune.service.rollout_figures import write_rollout_figures
from support.recorded_measures import RecordedMeasures


def row(**told):
    fixed = {"rollout_id": "r", "name": "n", "state": "running", "open": True, "counts": {}}
    began = datetime(2026, 11, 25, tzinfo=UTC)
    rest = {"rollback_failed": 0, "total": 3, "started_at": began, "ended_at": None}
    return RolloutRow(**fixed, **rest, **told)


def test_what_waits_for_a_person_is_counted():
    measures = RecordedMeasures()
    write_rollout_figures([row(), row(paused=True), row(gate="canary"), row(held=2)], measures)
    assert measures.of(metrics.ROLLOUTS_ACTIVE) == 4
    assert measures.of(metrics.ROLLOUTS_PAUSED) == 1
    assert measures.of(metrics.GATES_WAITING) == 1
    assert measures.of(metrics.SERVERS_HELD) == 2
    write_rollout_figures([], measures)
    assert measures.of(metrics.SERVERS_HELD) == 0
