import json
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator

from kitsune.handlers.base import StepHandler, StepParams, sensitive
from kitsune.handlers.registry import HandlerRegistry
from kitsune.handlers.validation import (
    MOST_PROBLEMS,
    check_arguments,
    check_params,
    check_plan,
    secret_paths,
)
from kitsune.models.durations import Duration


def _break(text):
    if text == "break":
        raise KeyError("a bug")
    return text


class NapParams(StepParams):
    duration: Duration
    note: Annotated[str, AfterValidator(_break)] = ""
    password: str = sensitive(default="")


class NapHandler(StepHandler[NapParams]):
    type = "nap"
    params_model = NapParams
    idempotent = True

    async def execute(self, *_):
        return {}


REGISTRY = HandlerRegistry([NapHandler()], faults={"cracked": "the step type 'cracked' is broken"})
STEP = {"name": "a", "type": "nap", "params": {"duration": 1}}
PLAN = {"servers": ["s-1", "s-2"], "steps": [STEP]}


def refusal(raw):
    checked = check_plan(raw, REGISTRY)
    assert checked.plan is None
    return [problem.text for problem in checked.problems]


def test_a_good_plan_is_returned_without_a_problem():
    checked = check_plan(PLAN, REGISTRY)
    assert checked.plan is not None
    assert checked.plan.servers == ["s-1", "s-2"]
    assert checked.problems == ()
    assert checked.unknown_types == ()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no plan was given: start it with one JSON object, e.g. --input-file plan.json"),
        ([PLAN, PLAN], "2 inputs were given, a plan is one: start it with one JSON object"),
        ([None], "a plan is one JSON object, not null"),
        ([[PLAN]], "a plan is one JSON object, not a list"),
        (["plan.json"], "a plan is one JSON object, not 'plan.json'"),
        ([5], "a plan is one JSON object, not 5"),
    ],
)
def test_a_rollout_that_was_started_with_something_else_gets_a_clear_answer(arguments, said):
    checked = check_arguments(arguments, REGISTRY)
    assert checked.plan is None
    (problem,) = checked.problems
    assert said in problem.text


def test_all_problems_are_told_at_once_and_from_top_to_bottom():
    raw = {
        "steps": [
            {"name": "a", "type": "nap", "params": {"duration": "30 parsecs", "pasword": "x"}},
            {"type": "napp", "params": {}, "requird": False},
            5,
        ],
        "nam": "x",
        "servers": ["s-1", "s 2", "s-1"],
        "rolloutStrategy": {"type": "Rollin"},
    }
    assert refusal(raw) == [
        (
            "steps[0].params.duration: not a duration: '30 parsecs' "
            "(write 30s, 5m, 1h30m or a number of seconds)"
        ),
        "steps[0].params.pasword: unknown key 'pasword' (did you mean 'password'?)",
        "steps[1].name: required, but missing",
        "steps[1].type: unknown step type 'napp' (did you mean 'nap'?)",
        "steps[1].requird: unknown key 'requird' (did you mean 'required'?)",
        "steps[2]: must be a mapping, not 5",
        "nam: unknown key 'nam' (did you mean 'name'?)",
        "servers[1]: not a server id: 's 2' (write 1 to 200 letters, digits, '.', '_' or '-')",
        "servers[2]: 's-1' stands in the list already, at servers[0]",
        (
            "rolloutStrategy.type: must be one of 'Parallel', 'Sequential', 'Rolling' or 'Canary', "
            "not 'Rollin' (did you mean 'Rolling'?)"
        ),
    ]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"servers": []}, "servers: a plan needs at least one server"),
        ({"servers": "s-1"}, "servers: must be a list, not 's-1'"),
        ({"servers": None}, "servers: must be a list, not null"),
        ({"servers": [7]}, "servers[0]: must be a text, not 7 (put it in quotes)"),
        ({"steps": []}, "steps: must have at least 1 entry"),
        ({"steps": {}}, "steps: must be a list, not an empty mapping"),
        ({"name": 5}, "name: must be a text, not 5 (put it in quotes)"),
        ({"steps": [{**STEP, "params": None}]}, "steps[0].params: must be a mapping, not null"),
        (
            {"steps": [{"name": "a", "type": "nap"}]},
            "steps[0].params.duration: required, but missing",
        ),
        (
            {"steps": [{**STEP, "required": "yes"}]},
            "steps[0].required: must be true or false, not 'yes'",
        ),
        ({"stepTimeout": 0}, "stepTimeout: must be longer than 0s"),
        ({"stepTimeout": 10**30}, "stepTimeout: a whole number of more than 64 bits: 1000"),
        (
            {"rolloutStrategy": {"canaryPercentage": 101}},
            "rolloutStrategy.canaryPercentage: must be at most 100, not 101",
        ),
        (
            {"rolloutStrategy": {"maxConcurrency": 0}},
            "rolloutStrategy.maxConcurrency: must be at least 1, not 0",
        ),
        (
            {"retryPolicy": {"maximumAttempts": 1.5}},
            "retryPolicy.maximumAttempts: must be a whole number, not 1.5",
        ),
        ({"step_timeout": 5}, "step_timeout: unknown key 'step_timeout' (did you mean"),
    ],
)
def test_each_problem_says_where_what_and_what_would_work(change, text):
    (found,) = refusal({**PLAN, **change})
    assert found.startswith(text)


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("timeout", "the step, one level up"),
        ("continueOnFailure", "the step, one level up"),
        ("continue_on_failure", "the step, one level up (as 'continueOnFailure')"),
        ("required", "the step, one level up"),
        ("maximumAttempts", "retryPolicy of the step, one level up"),
        ("rollback", "the plan"),
        ("onFailure", "rolloutStrategy of the plan"),
    ],
)
def test_a_key_that_stands_too_deep_is_told_where_it_belongs(key, place):
    step = {**STEP, "params": {**STEP["params"], key: 5}}
    assert refusal({**PLAN, "steps": [step]}) == [
        f"steps[0].params.{key}: unknown key {key!r}: it belongs to {place}"
    ]


def test_an_empty_plan_misses_both_of_its_lists():
    assert refusal({}) == ["servers: required, but missing", "steps: required, but missing"]


def test_a_plan_over_a_limit_is_refused_with_the_figure_and_the_limit():
    (text,) = refusal({**PLAN, "servers": [f"s-{number}" for number in range(10_001)]})
    assert text == (
        "servers: 10,001 servers are more than one rollout takes (10,000): split the plan"
    )


def test_an_unknown_type_that_is_no_typo_is_left_to_the_servers():
    raw = {**PLAN, "steps": [{"name": "a", "type": "reboot", "params": {"x": 1}}]}
    checked = check_plan(raw, REGISTRY)
    assert checked.plan is not None
    assert checked.unknown_types == ("reboot",)


@pytest.mark.parametrize("written", ["napp", "Nap", "n_ap"])
def test_a_type_that_is_nearly_a_known_one_is_a_typo(written):
    assert refusal({**PLAN, "steps": [{**STEP, "type": written}]}) == [
        f"steps[0].type: unknown step type {written!r} (did you mean 'nap'?)"
    ]


def test_a_type_that_is_broken_here_is_a_warning_because_servers_may_have_it_whole():
    raw = {**PLAN, "steps": [{"name": "a", "type": "cracked"}]}
    checked = check_plan(raw, REGISTRY)
    assert checked.unknown_types == ("cracked",)
    assert "the step type 'cracked' is broken" in checked.warnings


def test_steps_that_cannot_be_undone_are_a_warning_unless_nothing_is_to_be():
    assert "cannot be undone: 'a' (nap)" in check_plan(PLAN, REGISTRY).warnings
    assert check_plan({**PLAN, "rollback": {"scope": "none"}}, REGISTRY).warnings == ()


def test_a_secret_param_is_shown_in_no_problem():
    raw = {**PLAN, "steps": [{**STEP, "params": {"duration": 1, "password": ["hunter2"]}}]}
    checked = check_plan(raw, REGISTRY)
    assert "hunter2" not in json.dumps([problem.model_dump() for problem in checked.problems])
    assert secret_paths(raw, REGISTRY) == ["steps[0].params.password"]


def test_a_plugin_whose_checks_break_is_a_problem_and_no_crash():
    params = {"duration": 1, "note": "break"}
    raw = {**PLAN, "steps": [{**STEP, "params": params}]}
    assert refusal(raw) == ["steps[0].params: the checks of step type 'nap' broke: KeyError"]


def test_too_many_problems_are_counted_not_listed():
    texts = refusal({**PLAN, "servers": [5] * 2000})
    assert len(texts) == MOST_PROBLEMS + 1
    assert texts[-1] == "and 1,900 more problems"


def test_params_of_a_type_that_is_not_known_have_no_problems_here():
    assert check_params("reboot", {"x": 1}, REGISTRY, "params") == []


def test_params_are_told_with_the_path_that_the_caller_names():
    (problem,) = check_params("nap", {"duration": -1}, REGISTRY, "steps[4].params")
    assert problem.path == "steps[4].params.duration"


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["nap", "s-1", "Rolling", "25%", "5m"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=5)
            | st.sampled_from(
                ["servers", "steps", "name", "type", "params", "rolloutStrategy", "duration"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@settings(max_examples=300)
@given(raw=anything, base=st.sampled_from([{}, PLAN]))
def test_whatever_a_rollout_is_started_with_it_is_a_plan_or_has_problems(raw, base):
    raw = {**base, **raw} if isinstance(raw, dict) else raw
    checked = check_arguments([raw], REGISTRY)
    assert (checked.plan is None) == bool(checked.problems)
    json.dumps([problem.model_dump() for problem in checked.problems]).encode()
