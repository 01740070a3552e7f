"""The exit code and the JSON of every way in which a rollout can end."""

import pytest

from kitsune.cli.endings import exit_of, outcome_json
from kitsune.cli.exits import Exit
from kitsune.models.problems import Problem
from kitsune.models.results import RolloutStatus
from kitsune.service.outcomes import CutShort, Finished, Refused


@pytest.mark.parametrize(
    ("status", "servers", "expected"),
    [
        (RolloutStatus.SUCCEEDED, ["succeeded"], Exit.OK),
        (RolloutStatus.FAILED, ["succeeded", "failed"], Exit.FAILED_SERVERS),
        (RolloutStatus.INCOMPLETE, ["succeeded", "skipped"], Exit.INCOMPLETE),
        (RolloutStatus.INCOMPLETE, ["unreachable"], Exit.INCOMPLETE),
        (RolloutStatus.INCOMPLETE, ["unknown"], Exit.INCOMPLETE),
        (RolloutStatus.STOPPED, ["failed", "notStarted"], Exit.STOPPED),
        (RolloutStatus.ABORTED, ["cancelled"], Exit.ABORTED),
        (RolloutStatus.ABORTED, ["cancelled", "failed"], Exit.FAILED_SERVERS),
    ],
)
def test_a_rollout_that_ended_by_itself_has_its_own_code(
    result_of, ended, status, servers, expected
):
    servers = [ended(f"server-{at}", state) for at, state in enumerate(servers)]
    assert exit_of(Finished(result_of(*servers, status=status))) is expected


@pytest.mark.parametrize("status", list(RolloutStatus))
def test_a_failed_rollback_is_worse_than_all_else(result_of, ended, status):
    result = result_of(ended("a", "failed", rollback_failed=True), status=status)
    assert exit_of(Finished(result)) is Exit.NEEDS_PERSON


def test_a_refused_plan_is_8_and_lists_its_problems():
    refused = Refused(
        message="steps: missing", problems=(Problem(path="steps", message="missing"),)
    )
    assert exit_of(refused) is Exit.REFUSED
    told = outcome_json(refused, rollout_id="web-1")
    assert told["success"] is False
    assert told["status"] == "refused"
    assert told["problems"][0]["path"] == "steps"


def test_a_workflow_that_was_closed_from_outside_needs_a_person():
    cut = CutShort(state="terminated", message="terminated in Temporal: fat finger")
    assert exit_of(cut) is Exit.NEEDS_PERSON
    assert outcome_json(cut, rollout_id="web-1") == {
        "success": False,
        "rolloutId": "web-1",
        "status": "terminated",
        "error": "terminated in Temporal: fat finger",
    }


def test_a_result_is_told_with_the_keys_of_the_wire(result_of, ended):
    told = outcome_json(Finished(result_of(ended("a"))), rollout_id="web-1")
    assert told["serversPatched"] == 1
    assert told["results"][0]["serverId"] == "a"
