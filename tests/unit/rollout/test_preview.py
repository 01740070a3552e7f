from datetime import timedelta

from kitsune.models.plan import Plan
from kitsune.rollout.preview import StepFacts, preview_plan

ECHO = StepFacts(executions=3, undo="full")


def plan(**written):
    return Plan.model_validate(
        {
            "name": "web",
            "servers": [f"s{number}" for number in range(37)],
            "steps": [{"name": "a", "type": "echo"}],
            **written,
        }
    )


def test_a_preview_names_every_server_once_and_in_order():
    chosen = plan(rolloutStrategy={"type": "Canary", "batchSize": "25%"})
    preview = preview_plan(chosen, facts=[ECHO])
    assert [server for batch in preview.batches for server in batch.servers] == chosen.servers
    assert [len(batch.servers) for batch in preview.batches] == [4, 9, 9, 9, 6]
    assert preview.batches[0].canary


def test_a_preview_resolves_the_limits():
    preview = preview_plan(plan(rolloutStrategy={"maxFailures": "10%"}), facts=[ECHO])
    assert preview.failures_allowed == 3
    assert preview.limit_text == "10% of 37 servers: stops at the 4th failure"


def test_a_preview_shows_the_waits():
    strategy = {"type": "Canary", "canarySoakSeconds": "5m", "batchSize": 20}
    preview = preview_plan(plan(rolloutStrategy=strategy), facts=[ECHO])
    assert [batch.wait_after_seconds for batch in preview.batches] == [300, 0, 0]


def test_a_preview_says_how_many_run_at_once():
    strategy = {"type": "Rolling", "batchSize": 10}
    assert preview_plan(plan(rolloutStrategy=strategy), facts=[ECHO]).at_once == 10
    strategy["maxConcurrency"] = 3
    assert preview_plan(plan(rolloutStrategy=strategy), facts=[ECHO]).at_once == 3


def test_steps_carry_every_default():
    steps = [
        {"name": "a", "type": "echo"},
        {"name": "b", "type": "foo", "timeout": 7, "required": False},
        {"name": "c", "type": "echo", "retryPolicy": {"maximumAttempts": 5}},
    ]
    preview = preview_plan(plan(steps=steps, stepTimeout="2m"), facts=[ECHO, None, ECHO])
    assert [step.timeout for step in preview.steps] == [
        timedelta(minutes=2),
        timedelta(seconds=7),
        timedelta(minutes=2),
    ]
    assert [step.executions for step in preview.steps] == [3, None, 5]
    assert [step.undo for step in preview.steps] == ["full", None, "full"]
    assert [step.stops_server for step in preview.steps] == [True, False, True]


def test_a_preview_as_json_has_the_keys_of_the_wire():
    wire = preview_plan(plan(), facts=[ECHO], warnings=["w"], unknown_types=["x"]).model_dump(
        mode="json", by_alias=True
    )
    assert wire["limitText"] == "stops at the 1st failure"
    assert wire["batches"][0]["waitAfterSeconds"] == 0
    assert wire["steps"][0]["timeout"] == 300
    assert (wire["warnings"], wire["unknownTypes"]) == (["w"], ["x"])
