from typing import Annotated

import pytest
from pydantic import AfterValidator, Field, ValidationError

from kitsune.models.base import WrittenModel
from kitsune.models.findings import known_keys, problems_from
from kitsune.models.plan import Plan


def _refuse(secret):
    raise ValueError(secret["say"])


class Inner(WrittenModel):
    max_size: int = 1
    mode: int | str = 0


class Outer(WrittenModel):
    inner: Inner = Inner()
    entries: list[Inner] = Field(default_factory=list)
    token: str = Field(default="", json_schema_extra={"sensitive": True})
    env: Annotated[dict[str, str], AfterValidator(_refuse)] = Field(
        default_factory=dict, json_schema_extra={"sensitive": True}
    )


def problems(raw):
    with pytest.raises(ValidationError) as refused:
        Outer.model_validate(raw, by_alias=True, by_name=False)
    return problems_from(refused.value, Outer, raw=raw, prefix="p")


def texts(raw):
    return [problem.text for problem in problems(raw)]


def test_an_unknown_key_gets_the_nearest_known_one():
    (problem,) = problems({"inner": {"maxSiz": 1}})
    assert problem.text == "p.inner.maxSiz: unknown key 'maxSiz' (did you mean 'maxSize'?)"
    assert problem.at_key


def test_the_name_of_a_field_in_python_is_an_unknown_key_with_a_hint():
    assert texts({"inner": {"max_size": 1}}) == [
        "p.inner.max_size: unknown key 'max_size' (did you mean 'maxSize'?)"
    ]


def test_an_unknown_key_without_a_likely_meaning_gets_all_known_ones():
    assert texts({"inner": {"qqq": 1}}) == ["p.inner.qqq: unknown key 'qqq' (known: maxSize, mode)"]


def test_a_key_at_the_wrong_place_is_told_its_own():
    assert texts({"maxSize": 1}) == [
        "p.maxSize: unknown key 'maxSize' (it belongs to p.inner or p.entries)"
    ]
    assert texts({"inner": {"entries": []}}) == [
        "p.inner.entries: unknown key 'entries' (it belongs to p)"
    ]


def test_a_secret_at_the_wrong_place_is_not_shown():
    (problem,) = problems({"inner": {"token": "hunter2"}})
    assert problem.text == "p.inner.token: unknown key 'token' (it belongs to p)"
    assert problem.sensitive


def test_in_a_plan_the_top_is_a_place_as_well():
    raw = {"name": "web", "onFailure": "ask", "rollback": {"servers": ["a"]}}
    with pytest.raises(ValidationError) as refused:
        Plan.model_validate(raw, by_alias=True, by_name=False)
    told = [problem.text for problem in problems_from(refused.value, Plan, raw=raw, prefix="")]
    assert "onFailure: unknown key 'onFailure' (it belongs to rolloutStrategy)" in told
    assert "rollback.servers: unknown key 'servers' (it belongs to the top level)" in told


def test_wrong_types_are_told_in_the_words_of_a_plan():
    assert texts({"inner": {"maxSize": None}}) == [
        "p.inner.maxSize: must be a whole number, not null"
    ]
    assert texts({"entries": {}}) == ["p.entries: must be a list, not an empty mapping"]
    assert texts({"entries": [5]}) == ["p.entries[0]: must be a mapping, not 5"]


def test_paths_hold_no_names_of_union_members():
    assert {problem.path for problem in problems({"inner": {"mode": []}})} == {"p.inner.mode"}


def test_a_secret_is_never_shown():
    found = problems({"token": 12345})
    assert [problem.text for problem in found] == [
        "p.token: must be a text (the value is secret and not shown)"
    ]
    assert found[0].value is None
    assert found[0].sensitive


def test_a_typo_of_a_secret_key_is_secret_as_well():
    (problem,) = problems({"tokn": "hunter2"})
    assert problem.sensitive
    assert "hunter2" not in problem.model_dump_json()


@pytest.mark.parametrize("message", ["hunter2 is too short", "bad: 'ter2'", "starts with hunt"])
def test_a_validator_that_repeats_a_part_of_a_secret_is_not_quoted(message):
    (problem,) = problems({"env": {"say": message, "secret": "hunter2"}})
    assert problem.text == "p.env: not accepted (the value is secret and not shown)"


def test_a_validator_that_gives_nothing_away_is_quoted():
    class Quiet(WrittenModel):
        env: Annotated[dict[str, str], AfterValidator(lambda _: _refuse({"say": "K is ours"}))] = (
            Field(json_schema_extra={"sensitive": True})
        )

    raw = {"env": {"K": "hunter2"}}
    with pytest.raises(ValidationError) as refused:
        Quiet.model_validate(raw)
    assert [problem.text for problem in problems_from(refused.value, Quiet, raw=raw)] == [
        "env: K is ours"
    ]


def test_known_keys_of_a_place_that_takes_any_are_none():
    assert known_keys(Outer, ["env"]) == []
    assert known_keys(Outer, ["entries", 3]) == ["maxSize", "mode"]
