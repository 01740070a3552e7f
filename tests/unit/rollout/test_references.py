"""Plans that speak of servers and steps."""

from kitsune.models.plan import Plan
from kitsune.rollout.references import reference_problems


def plan_with(**keys):
    steps = [{"name": "one", "type": "echo"}, {"name": "two", "type": "echo"}]
    return Plan.model_validate({"servers": ["a", "b"], "steps": steps, **keys})


def test_servers_and_steps_that_are_there_are_fine():
    undone = {"rolloutId": "r", "runId": "x", "begun": {"a": 2}}
    assert reference_problems(plan_with(startAt={"a": 1}, rollbackOf=undone)) == []


def test_strangers_are_named_with_their_place():
    undone = {"rolloutId": "r", "runId": "x", "begun": {"y": 1}, "generations": {"z": [1]}}
    problems = reference_problems(plan_with(startAt={"x": 0, "b": 2}, rollbackOf=undone))
    assert [problem.path for problem in problems] == [
        "startAt.x",
        "startAt.b",
        "rollbackOf.begun.y",
        "rollbackOf.generations.z",
    ]
    assert "write 0 to 1" in problems[1].text
