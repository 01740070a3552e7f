from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitsune.models.plan import Plan, RolloutStrategy
from kitsune.rollout.limits import (
    MAX_COMMAND_BYTES,
    MAX_IN_FLIGHT,
    failures_allowed,
    json_size,
    limit_text,
    size_problems,
    starts_at_once,
    stop_text,
)


def strategy(limit):
    return RolloutStrategy.model_validate({"maxFailures": limit})


def plan(servers=1, steps=1):
    return Plan.model_validate(
        {
            "servers": [f"s{number}" for number in range(servers)],
            "steps": [{"name": f"n{number}", "type": "echo"} for number in range(steps)],
        }
    )


@given(
    fleet=st.integers(min_value=1, max_value=5000),
    thousandths=st.integers(min_value=0, max_value=100_000),
)
def test_a_share_of_failures_rounds_down(fleet, thousandths):
    written = f"{thousandths / 1000:.3f}%"
    exact = fleet * Fraction(written[:-1]) / 100
    assert failures_allowed(fleet, strategy(written)) == floor(exact)


@given(fleet=st.integers(min_value=1, max_value=5000), limit=st.integers(-(10**9), 10**9))
def test_a_count_is_the_count_and_a_negative_one_no_limit(fleet, limit):
    assert failures_allowed(fleet, strategy(limit)) == (None if limit < 0 else limit)


@pytest.mark.parametrize(
    ("fleet", "limit", "text"),
    [
        (37, "10%", "10% of 37 servers: stops at the 4th failure"),
        (5, 0, "stops at the 1st failure"),
        (5, 1, "stops at the 2nd failure"),
        (5, 2, "stops at the 3rd failure"),
        (50, 10, "stops at the 11th failure"),
        (50, 12, "stops at the 13th failure"),
        (50, 21, "stops at the 22nd failure"),
        (150, 110, "stops at the 111th failure"),
        (1, "50%", "50% of 1 server: stops at the 1st failure"),
        (5, -1, "never stops for failures"),
        (5, 5, "never stops for failures, all 5 may fail"),
        (5, "100%", "100% of 5 servers: never stops for failures, all 5 may fail"),
    ],
)
def test_the_stop_rule_reads_as_a_sentence(fleet, limit, text):
    assert stop_text(fleet, strategy(limit)) == text


@pytest.mark.parametrize(
    ("fleet", "limit", "text"),
    [
        (5, 0, "0 failures allowed"),
        (5, 1, "1 failure allowed"),
        (37, "10%", "3 failures allowed (10% of 37 servers)"),
        (1, "50%", "0 failures allowed (50% of 1 server)"),
        (5, -1, "any number of failures allowed"),
    ],
)
def test_what_may_fail_reads_well_beside_what_has_failed(fleet, limit, text):
    assert limit_text(fleet, strategy(limit)) == text


def test_a_plan_within_the_limits_has_no_problem():
    assert size_problems(plan(1000, 1), plan_bytes=100_000) == []


@pytest.mark.parametrize(
    ("servers", "steps", "plan_bytes", "said"),
    [
        (10_001, 1, 1, "10,001 servers are more than one rollout takes (10,000)"),
        (1, 1001, 1, "1,001 steps are more than one plan takes (1,000)"),
        (1, 1, 1_048_577, "the plan has 1,048,577 bytes as JSON, the limit is 1,048,576"),
    ],
)
def test_a_plan_beyond_a_limit_is_told_the_figure_and_the_limit(servers, steps, plan_bytes, said):
    (problem,) = size_problems(plan(servers, steps), plan_bytes=plan_bytes)
    assert said in problem.message


@given(st.integers(min_value=0, max_value=MAX_COMMAND_BYTES))
def test_what_is_started_at_once_fits_into_one_workflow_task(steps_bytes):
    count = starts_at_once(steps_bytes)
    assert 1 <= count <= MAX_IN_FLIGHT
    assert count == 1 or count * steps_bytes <= MAX_COMMAND_BYTES


def test_sizes_count_bytes_not_characters():
    assert json_size({"a": "ü"}) == len('{"a":"ü"}'.encode())
    assert json_size("\ud800") == 3
