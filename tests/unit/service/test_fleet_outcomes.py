"""How a workflow was closed says how the rollout ended."""

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    TerminatedError,
    TimeoutType,
)
from temporalio.exceptions import (
    TimeoutError as WorkflowTimeout,
)

from kitsune.models.results import RolloutResult, RolloutStatus, json_of
from kitsune.service.outcomes import (
    CutShort,
    Finished,
    Refused,
    outcome_of_failure,
    outcome_of_result,
)

RESULT = RolloutResult(
    success=False,
    servers_patched=0,
    servers_failed=1,
    results=[],
    status=RolloutStatus.STOPPED,
    counts={"failed": 1},
)


def ended(cause):
    return outcome_of_failure(WorkflowFailureError(cause=cause))


def test_a_completed_workflow_carries_its_result():
    assert outcome_of_result(json_of(RESULT)) == Finished(RESULT)


@pytest.mark.parametrize("kind", ["RolloutStopped", "RolloutAborted"])
def test_a_stopped_rollout_carries_its_result_as_the_first_detail(kind):
    outcome = ended(ApplicationError("stopped", json_of(RESULT), type=kind, non_retryable=True))
    assert outcome == Finished(RESULT)


def test_a_refused_plan_carries_its_problems():
    details = {"problems": [{"path": "steps", "message": "missing"}]}
    outcome = ended(ApplicationError("steps: missing", details, type="InvalidPlan"))
    assert isinstance(outcome, Refused)
    assert [problem.text for problem in outcome.problems] == ["steps: missing"]


def test_a_refusal_of_another_version_still_tells_its_message():
    outcome = ended(ApplicationError("steps: missing", ["strange"], type="InvalidPlan"))
    assert outcome == Refused(message="steps: missing", problems=())


@pytest.mark.parametrize(
    ("cause", "state"),
    [
        (TerminatedError("fat finger"), "terminated"),
        (CancelledError("cancelled"), "canceled"),
        (
            WorkflowTimeout("late", type=TimeoutType.START_TO_CLOSE, last_heartbeat_details=[]),
            "timedOut",
        ),
        (ApplicationError("boom", type="RuntimeError"), "failed"),
        (ApplicationError("stopped", {"no": "result"}, type="RolloutStopped"), "failed"),
        (ApplicationError("stopped", type="RolloutStopped"), "failed"),
    ],
)
def test_anything_else_is_cut_short_and_says_how(cause, state):
    outcome = ended(cause)
    assert isinstance(outcome, CutShort)
    assert outcome.state == state


def test_somebody_elses_result_is_no_rollouts_result():
    assert isinstance(outcome_of_result("hello"), CutShort)
    assert isinstance(outcome_of_result(None), CutShort)
