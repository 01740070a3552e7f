"""Ids of rollouts, and when two requests are the same."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitsune.errors import KitsuneError
from kitsune.rollout.limits import MAX_PLAN_BYTES
from kitsune.service.starting import (
    check_rollout_id,
    first_memo,
    new_rollout_id,
    same_plan,
    size_problem,
    summary_of,
)

PLAN = {"servers": ["a"], "steps": [{"name": "one", "type": "echo", "params": {"message": "x"}}]}


@given(st.text(max_size=120))
def test_every_new_id_is_one_that_a_rollout_may_have(name):
    assert check_rollout_id(new_rollout_id(name))


def test_a_new_id_tells_the_name_and_never_comes_twice():
    assert re.fullmatch(r"web-2-14-0-[a-z2-7]{6}", new_rollout_id("Web 2.14.0"))
    assert new_rollout_id("web") != new_rollout_id("web")
    assert new_rollout_id("日本").startswith("rollout-")
    assert new_rollout_id("exec web").startswith("rollout-exec-web-")


@pytest.mark.parametrize("rollout_id", ["", " ", "a/b", "exec-web-1", "x" * 201, "a\n"])
def test_ids_that_cannot_be_are_refused(rollout_id):
    with pytest.raises(ValueError, match="rollout id"):
        check_rollout_id(rollout_id)


def test_one_plan_written_in_two_ways_is_the_same():
    spelled_out = {
        **PLAN,
        "name": "rollout",
        "stepTimeout": "5m",
        "rolloutStrategy": {"type": "Parallel"},
    }
    assert same_plan(PLAN, {**PLAN, "stepTimeout": 300})
    assert same_plan(PLAN, spelled_out)


def test_another_server_or_step_is_another_plan():
    assert not same_plan(PLAN, {**PLAN, "servers": ["b"]})
    assert not same_plan(PLAN, {**PLAN, "steps": [{**PLAN["steps"][0], "required": False}]})
    assert not same_plan(PLAN, None)


def test_requests_that_are_no_plans_are_the_same_only_to_the_letter():
    assert same_plan({"servers": []}, {"servers": []})
    assert not same_plan({"servers": []}, {"servers": [], "x": 1})


def test_a_plan_that_is_too_large_is_refused_with_figure_and_limit():
    assert size_problem(PLAN) is None
    large = {**PLAN, "name": "x" * (MAX_PLAN_BYTES + 1)}
    problem = size_problem(large)
    assert problem is not None
    assert f"{MAX_PLAN_BYTES:,}" in problem.text


def test_what_temporal_shows_of_a_rollout_is_short():
    assert summary_of({**PLAN, "name": "web"}) == "web: 1 step on 1 server"
    assert len(summary_of({**PLAN, "name": "x" * 500})) <= 200
    assert first_memo(PLAN)["kitsune"]["total"] == 1


def test_errors_of_ids_are_no_errors_of_rollouts():
    with pytest.raises(ValueError, match="guard servers") as told:
        check_rollout_id("exec-a")
    assert not isinstance(told.value, KitsuneError)
