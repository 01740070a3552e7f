"""Which servers a stopped rollout undoes, and in which order."""

from datetime import timedelta

import pytest

from kitsune.models.plan import RolloutStrategy
from kitsune.models.requests import AbortRequest
from kitsune.models.results import ServerResult, ServerStatus, StepOutcome
from kitsune.rollout.batches import split_into_batches
from kitsune.rollout.targets import pending_result, result_of_undo, servers_to_undo, undone_result

S = ServerStatus
BATCHES = split_into_batches(
    ["a", "b", "c", "d", "e"], RolloutStrategy.model_validate({"type": "Rolling", "batchSize": 2})
)


def server(name, status, **keys):
    steps = [] if status is S.NOT_STARTED else [StepOutcome(name="one", success=True)]
    return ServerResult(
        server_id=name,
        success=False,
        status=status,
        steps_executed=keys.pop("steps", steps),
        **keys,
    )


RESULTS = {
    "a": server("a", S.SUCCEEDED),
    "b": server("b", S.UNKNOWN),
    "c": server("c", S.FAILED, rolled_back=True),
    "d": server("d", S.CANCELLED),
}


def groups(scope="server", *, stopped=True, abort=None):
    return servers_to_undo(BATCHES, RESULTS, scope=scope, stopped=stopped, abort=abort)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [("none", []), ("server", [["d"], ["b"]]), ("fleet", [["d"], ["a", "b"]])],
)
def test_a_stopped_rollout_undoes_what_its_scope_says_newest_batch_first(scope, expected):
    assert groups(scope) == expected


def test_a_rollout_that_went_to_its_end_undoes_nothing():
    assert groups("fleet", stopped=False) == []


def test_an_abort_undoes_everything_or_nothing():
    assert groups(abort=AbortRequest(rollback=False)) == []
    assert groups("none", abort=AbortRequest(rollback=True)) == [["d"], ["a", "b"]]


def test_a_server_that_failed_without_undoing_itself_is_undone_by_an_abort():
    results = {"a": server("a", S.FAILED)}
    abort = AbortRequest(rollback=True)
    assert servers_to_undo(BATCHES, results, scope="none", stopped=True, abort=abort) == [["a"]]


def test_a_server_that_was_cancelled_before_its_first_step_has_nothing_to_undo():
    results = {"a": server("a", S.CANCELLED, steps=[])}
    assert servers_to_undo(BATCHES, results, scope="fleet", stopped=True, abort=None) == []


def test_the_undo_is_written_into_the_result_step_by_step():
    undo = ServerResult(
        server_id="a",
        success=True,
        rolled_back=True,
        steps_executed=[StepOutcome(name="one", success=True, undone="rolledBack")],
    )
    merged = undone_result(RESULTS["a"], undo)
    assert (merged.status, merged.rolled_back) == (S.SUCCEEDED, True)
    assert merged.steps_executed[0].undone == "rolledBack"


def test_an_undo_that_failed_is_said_beside_the_error():
    undo = ServerResult(server_id="d", success=False, rollback_failed=True, error="disk full")
    merged = undone_result(server("d", S.CANCELLED, error="cancelled"), undo)
    assert (merged.rolled_back, merged.rollback_failed) == (False, True)
    assert merged.error == "cancelled; rollback: disk full"


def test_a_held_server_that_nobody_decided_about_is_undone_like_one_that_failed():
    results = {"a": server("a", S.FAILED), "b": server("b", S.FAILED)}

    def found(scope):
        return servers_to_undo(
            BATCHES, results, scope=scope, stopped=True, abort=None, unsettled={"a"}
        )

    assert found("server") == [["a"]]
    assert found("none") == []


def test_a_pending_rollback_says_what_to_run_later():
    result = pending_result(
        server("a", S.UNKNOWN, error="away"), rollout_id="r", waited=timedelta(hours=1)
    )
    assert result.rollback_pending
    assert not result.rollback_failed
    assert result.error.startswith("away; its rollback is pending: no local worker answered for 1h")
    assert "`kitsune rollback r --server a --retry`" in result.error


@pytest.mark.parametrize(("failed", "status"), [(True, S.FAILED), (False, S.SUCCEEDED)])
def test_in_a_rollout_that_undoes_another_one_undone_is_what_succeeds(failed, status):
    undo = server("a", S.SUCCEEDED, rollback_failed=failed)
    assert result_of_undo(undo).status is status
