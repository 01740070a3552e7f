import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from kitsune.handlers.registry import load_handlers
from kitsune.handlers.validation import check_plan
from kitsune.planfile.schema import plan_schema

PLANS = Path(__file__).parents[2] / "data" / "plans"
REGISTRY = load_handlers()
SCHEMA = plan_schema(REGISTRY)
VALIDATOR = Draft202012Validator(SCHEMA)


def plan(step=None, **written):
    step = {"name": "a", "type": "sleep", "params": {"duration": "5m"}, **(step or {})}
    return {"servers": ["a"], "steps": [step], **written}


def test_it_is_a_schema_of_its_dialect():
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["$id"] == "urn:kitsune:plan"
    assert SCHEMA["title"] == "Kitsune plan"


@pytest.mark.parametrize("path", sorted(PLANS.iterdir()), ids=lambda path: path.name)
def test_plans_that_run_are_valid(path):
    VALIDATOR.validate(json.loads(path.read_text()))


GOOD = [
    plan(),
    plan({"type": "reload", "params": {"anything": [1]}}),
    plan({"type": "script", "params": {"script": "x", "rollback_script": "y"}}),
    plan(rolloutStrategy={"type": "Canary", "batchSize": [1, "25%"], "maxFailures": -1}),
    plan(stepTimeout="1h30m", retryPolicy={"backoffCoefficient": 2}),
    plan({"retryPolicy": None, "timeout": 5.5}),
    plan(**{"$schema": "./plan.schema.json"}),
]
BAD = [
    {},
    plan(servers=[]),
    plan(servers=["a", "a"]),
    plan(servers=["a b"]),
    plan(steps=[]),
    plan(nam="x"),
    plan({"params": {}}),
    plan({"params": {"duration": "30 parsecs"}}),
    plan({"params": {"durations": 5}}),
    plan({"type": "script", "params": {"comand": "x"}}),
    plan({"required": "yes"}),
    plan(rolloutStrategy={"type": "rolling"}),
    plan(rolloutStrategy={"batchSize": 0}),
    plan(rolloutStrategy={"batch_size": 1}),
    plan(stepTimeout="5 m"),
]


@pytest.mark.parametrize("raw", GOOD, ids=range(len(GOOD)))
def test_what_runs_is_valid_in_an_editor(raw):
    assert check_plan(raw, REGISTRY).problems == ()
    VALIDATOR.validate(raw)


@pytest.mark.parametrize("raw", BAD, ids=range(len(BAD)))
def test_what_is_refused_is_marked_in_an_editor(raw):
    assert check_plan(raw, REGISTRY).problems
    assert not VALIDATOR.is_valid(raw)


def test_a_step_without_the_params_that_its_type_needs_is_marked():
    raw = plan()
    del raw["steps"][0]["params"]
    assert not VALIDATOR.is_valid(raw)


def test_editors_offer_the_types_and_show_defaults_as_people_write_them():
    offered = SCHEMA["$defs"]["Step"]["properties"]["type"]["anyOf"][0]["enum"]
    assert {"echo", "file_write", "script", "sleep"} <= set(offered)
    assert SCHEMA["properties"]["stepTimeout"]["default"] == "5m"
    assert '"PT' not in json.dumps(SCHEMA)
