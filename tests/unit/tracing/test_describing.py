"""What a span says, and what it does not."""

from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError, CancelledError

from kitsune import names
from kitsune.models.requests import ResolvedStep, ServerRequest, StepRequest, UndoOutcome
from kitsune.models.results import StepOutcome
from kitsune.tracing.describing import (
    describe_activity,
    describe_workflow,
    is_good,
    outcome_of_failure,
    outcome_of_result,
)

STEP = StepRequest(
    rollout_id="web-1x",
    run_id="run",
    server_id="web-1",
    step=ResolvedStep(
        index=0,
        name="deploy",
        type="script",
        timeout=timedelta(seconds=1),
        params={"inline": "s3cr3t"},
    ),
)


def test_a_step_is_told_by_name_and_type_without_its_params():
    described = describe_activity(names.EXECUTE_STEP, [STEP], attempt=2)
    assert described.name == "step deploy"
    assert described.attributes == {
        "kitsune.rollout.id": "web-1x",
        "kitsune.server.id": "web-1",
        "kitsune.step.name": "deploy",
        "kitsune.step.type": "script",
        "kitsune.delivery": 2,
    }
    assert describe_activity(names.ROLLBACK_STEP, [STEP], attempt=1).name == "undo deploy"


@pytest.mark.parametrize("arguments", [[], [None], [[1]], [{"servers": 7}], ["text"]])
def test_a_rollout_that_was_started_with_nonsense_has_a_span_too(arguments):
    described = describe_workflow(names.ORCHESTRATION_WORKFLOW, arguments, workflow_id="w")
    assert described.attributes["kitsune.servers"] == 0


def test_servers_are_told_apart_by_an_attribute_not_by_the_name():
    request = ServerRequest(rollout_id="r", run_id="x", server_id="web-1", steps=[])
    described = describe_workflow(names.SERVER_EXECUTION_WORKFLOW, [request], workflow_id="w")
    assert (described.name, described.attributes["kitsune.server.id"]) == ("server", "web-1")


def test_what_is_not_of_a_rollout_has_no_span():
    assert describe_activity(names.WATCH_SERVERS, [object()], attempt=1) is None
    assert describe_workflow(names.WEBHOOK_WORKFLOW, [object()], workflow_id="w") is None


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ApplicationError("stderr: s3cr3t", {"status": "interrupted"}), "interrupted"),
        (ApplicationError("s3cr3t", type="InvalidPlan"), "InvalidPlan"),
        (ApplicationError("s3cr3t", ["odd"]), "failed"),
        (CancelledError(), "cancelled"),
        (RuntimeError("s3cr3t"), "failed"),
    ],
)
def test_a_failure_is_told_by_its_outcome_not_by_its_words(error, outcome):
    assert outcome_of_failure(error) == outcome
    assert not is_good(outcome)


def test_a_result_is_told_by_its_own_word():
    assert outcome_of_result(StepOutcome(name="s", success=True)) == "succeeded"
    assert outcome_of_result(UndoOutcome(undone="nothingToUndo")) == "nothingToUndo"
    assert outcome_of_result(7) == "answered"
