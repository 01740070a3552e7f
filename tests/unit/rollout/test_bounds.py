"""Results stay under Temporal's limits, and the failure is the last thing to go."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from kitsune.models.results import OutputTail, ServerResult, ServerStatus, StepOutcome, json_of
from kitsune.rollout.bounds import (
    ROLLOUT_RESULT_LIMIT,
    fit_rollout_result,
    fit_server_result,
    server_result_limit,
    shorten,
    step_output_limit,
)
from kitsune.rollout.limits import json_size
from kitsune.rollout.verdict import summarize

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def outcome(index, *, success=True, size=32_768, text="x"):
    stream = json_of(OutputTail(text=text * size, bytes=size))
    return StepOutcome(
        name=f"step {index}",
        success=success,
        index=index,
        error=None if success else "exit code 7: no space left",
        outputs={"exitCode": 0 if success else 7, "stdout": stream, "stderr": stream},
    )


def server(steps, name="s"):
    failed = not all(step.success for step in steps)
    return ServerResult(
        server_id=name,
        success=not failed,
        error="exit code 7: no space left" if failed else None,
        status=ServerStatus.FAILED if failed else ServerStatus.SUCCEEDED,
        steps_executed=steps,
    )


def test_a_small_result_stays_as_it_is():
    small = server([outcome(0, size=10)])
    assert fit_server_result(small, 64_000) is small


def test_a_large_result_loses_output_and_says_so():
    fitted = fit_server_result(server([outcome(n) for n in range(10)]), 64_000)
    assert json_size(json_of(fitted)) <= 64_000
    assert fitted.outputs_truncated
    assert len(fitted.steps_executed) == 10
    stdout = fitted.steps_executed[0].outputs["stdout"]
    assert stdout["truncated"]
    assert stdout["bytes"] == 32_768


def test_the_failed_step_keeps_more_than_the_others_and_stays_to_the_last():
    steps = [outcome(n) for n in range(9)] + [outcome(9, success=False)]
    fitted = fit_server_result(server(steps), 64_000)
    sizes = [len(step.outputs["stdout"]["text"]) for step in fitted.steps_executed]
    assert sizes[-1] > sizes[0]
    tiny = fit_server_result(server(steps), 1_500)
    assert [step.name for step in tiny.steps_executed] == ["step 9"]


def test_five_hundred_servers_with_all_their_output_fit_into_one_payload():
    limit = server_result_limit(500)
    servers = [
        fit_server_result(server([outcome(n, text="\x00") for n in range(4)], f"s{number}"), limit)
        for number in range(500)
    ]
    result = summarize(
        servers,
        rollout_id="r",
        name="n",
        reason=None,
        actor=None,
        aborted=False,
        started_at=NOW,
        ended_at=NOW,
    )
    fitted = fit_rollout_result(result)
    assert json_size(json_of(fitted)) <= ROLLOUT_RESULT_LIMIT
    assert len(fitted.results) == 500


@given(st.text(), st.integers(16, 200))
def test_shortened_text_is_never_longer_than_asked(text, limit):
    assert len((shorten(text, limit) or "").encode()) <= max(limit, 16)


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_all_results_and_outputs_together_stay_within_a_history(servers, steps):
    assert server_result_limit(servers) * min(servers, 2000) <= 50_000_000
    assert step_output_limit(steps) * 2 * min(steps, 1000) <= 50_000_000
