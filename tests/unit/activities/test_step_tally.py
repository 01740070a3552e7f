"""What a local worker counts of its steps."""

from datetime import UTC, datetime, timedelta

import pytest

from kitsune import metrics
from kitsune.activities.step_tally import StepTally
from kitsune.models.results import StepOutcome
from support.recorded_measures import RecordedMeasures

BEGAN = datetime(2026, 11, 25, tzinfo=UTC)


def ended(step_type="script", status="succeeded", seconds=3):
    return StepOutcome(
        name="deploy",
        type=step_type,
        success=status == "succeeded",
        status=status,
        started_at=BEGAN,
        ended_at=BEGAN + timedelta(seconds=seconds),
    )


@pytest.fixture
def measures():
    return RecordedMeasures()


@pytest.fixture
def tally(measures):
    return StepTally(measures)


def test_a_step_counts_by_type_and_outcome_with_how_long_it_took(tally, measures):
    tally.ended("execute", ended())
    tally.ended("execute", ended(status="failed", seconds=5))
    assert measures.of(metrics.STEPS, step_type="script", outcome="succeeded") == 1
    assert measures.of(metrics.STEPS, step_type="script", outcome="failed") == 1
    took = measures.of(metrics.STEP_DURATION, step_type="script")
    assert took == [timedelta(seconds=3), timedelta(seconds=5)]


def test_an_undo_counts_apart_from_steps(tally, measures):
    tally.ended("rollback", ended())
    tally.ended("rollback", ended(status="failed"))
    assert measures.of(metrics.UNDOS, step_type="script", outcome="rolledBack") == 1
    assert measures.of(metrics.UNDOS, step_type="script", outcome="rollbackFailed") == 1
    assert measures.of(metrics.STEPS, step_type="script", outcome="succeeded") is None


def test_what_has_not_happened_yet_counts_as_zero(measures):
    StepTally(measures, ["script"])
    assert measures.of(metrics.STEP_DELIVERIES, handled="resumed") == 0
    assert measures.of(metrics.UNDOS, step_type="script", outcome="rollbackFailed") == 0
    assert measures.of(metrics.PREFLIGHT_REFUSALS, reason="journal") == 0
    assert measures.of(metrics.EXECUTIONS_INTERRUPTED) == 0


def test_step_types_without_end_share_a_label(tally, measures):
    for number in range(60):
        tally.ended("execute", ended(f"type-{number}"))
    types = {
        dict(labels)["step_type"] for metric, *labels in measures.seen if metric is metrics.STEPS
    }
    assert len(types) == 51
    assert measures.of(metrics.STEPS, step_type="other", outcome="succeeded") == 10
