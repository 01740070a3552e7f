"""What a rollout amounts to: status, counts, exit code."""

from datetime import UTC, datetime

import pytest

from kitsune.models.results import RolloutStatus, ServerResult, ServerStatus
from kitsune.rollout.verdict import exit_code_of, sentence_of, summarize

NOW = datetime(2026, 11, 22, tzinfo=UTC)
S = ServerStatus


def server(number, status, **keys):
    success = status is S.SUCCEEDED
    return ServerResult(server_id=f"s{number}", success=success, status=status, **keys)


def result_of(*servers, reason=None, aborted=False):
    return summarize(
        servers,
        rollout_id="r",
        name="web",
        reason=reason,
        actor=None,
        aborted=aborted,
        started_at=NOW,
        ended_at=NOW,
    )


@pytest.mark.parametrize(
    ("statuses", "keys", "status", "code"),
    [
        ([S.SUCCEEDED], {}, "succeeded", 0),
        ([S.SUCCEEDED, S.FAILED], {}, "failed", 3),
        ([S.SUCCEEDED, S.UNREACHABLE], {}, "incomplete", 4),
        ([S.SUCCEEDED, S.UNKNOWN], {}, "incomplete", 4),
        ([S.SUCCEEDED, S.SKIPPED], {}, "incomplete", 4),
        ([S.FAILED, S.NOT_STARTED], {"reason": "1 failed"}, "stopped", 5),
        ([S.UNREACHABLE, S.NOT_STARTED], {"reason": "x"}, "stopped", 5),
        ([S.SUCCEEDED, S.CANCELLED], {"reason": "x", "aborted": True}, "aborted", 7),
        ([S.FAILED, S.CANCELLED], {"reason": "x", "aborted": True}, "aborted", 3),
    ],
)
def test_the_worst_that_happened_makes_the_status_and_the_exit_code(statuses, keys, status, code):
    result = result_of(*(server(n, one) for n, one in enumerate(statuses)), **keys)
    assert result.status == RolloutStatus(status)
    assert result.success == (code == 0)
    assert exit_code_of(result) == code


def test_a_rollback_that_failed_is_worse_than_anything():
    failed = server(1, S.FAILED, rollback_failed=True)
    assert exit_code_of(result_of(failed, reason="stopped")) == 6
    assert exit_code_of(result_of(failed, reason="aborted", aborted=True)) == 6


def test_a_server_that_was_rolled_back_is_not_patched():
    result = result_of(
        server(1, S.SUCCEEDED), server(2, S.SUCCEEDED, rolled_back=True), server(3, S.FAILED)
    )
    assert (result.servers_patched, result.servers_failed, result.rolled_back) == (1, 1, 1)


def test_up_to_500_servers_are_listed_whole_and_more_only_where_they_did_not_succeed():
    whole = result_of(*(server(n, S.SUCCEEDED) for n in range(500)))
    assert (len(whole.results), whole.results_omitted) == (500, 0)
    many = result_of(*(server(n, S.SUCCEEDED) for n in range(500)), server(500, S.FAILED))
    assert [one.server_id for one in many.results] == ["s500"]
    assert many.results_omitted == 500
    assert many.counts == {"succeeded": 500, "failed": 1}


def test_the_sentence_says_what_happened_and_why():
    result = result_of(
        server(1, S.SUCCEEDED, rolled_back=True),
        server(2, S.FAILED, rollback_failed=True),
        reason="1 server failed, 0 allowed",
    )
    assert sentence_of(result) == (
        "stopped: 1 server failed, 0 allowed (1 succeeded, 1 failed of 2; 1 rolled back; "
        "1 could not be rolled back)"
    )


def test_a_pending_rollback_needs_a_person_and_is_said():
    result = result_of(server(1, S.UNKNOWN, rollback_pending=True), reason="1 failed")
    assert exit_code_of(result) == 6
    assert sentence_of(result).endswith("; 1 rollback pending)")


def test_a_rollout_that_undid_another_one_says_how_far_it_came():
    servers = [server(1, S.SUCCEEDED, rolled_back=True), server(2, S.SUCCEEDED)]
    done = result_of(*servers).model_copy(update={"rollback_of": "r"})
    assert sentence_of(done) == "rolled back 2 of 2"
    stuck = result_of(*servers, server(3, S.FAILED, rollback_failed=True))
    stuck = stuck.model_copy(update={"rollback_of": "r"})
    assert "could not be rolled back; rolled back 2 of 3" in sentence_of(stuck)
    assert exit_code_of(stuck) == 6
