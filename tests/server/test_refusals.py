"""A bad request fails the workflow with every problem at once, before any server is touched."""

import json

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowFailureError
from temporalio.common import RawValue

from kitsune import names

pytestmark = pytest.mark.server

GOOD_STEP = {"name": "hello", "type": "echo", "params": {"message": "hello"}}


async def refusal(client, *arguments):
    with pytest.raises(WorkflowFailureError) as caught:
        await client.execute_workflow(
            names.ORCHESTRATION_WORKFLOW,
            args=arguments,
            id=f"refused-{abs(hash(json.dumps(arguments)))}",
            task_queue=names.ORCHESTRATOR_QUEUE,
        )
    assert caught.value.cause.type == names.FAILURE_INVALID_PLAN
    assert caught.value.cause.non_retryable
    return caught.value.cause


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "no plan was given"),
        (({"servers": ["a"], "steps": [GOOD_STEP]}, {}), "2 inputs were given"),
        ((None,), "null"),
        (([1, 2],), "a list"),
        (("text",), "a plan is one JSON object, not 'text'"),
        (({"servers": "a", "steps": {}},), "servers: must be a list, not 'a'"),
        (({"servers": ["a"], "steps": [GOOD_STEP], "serverz": 1},), "did you mean 'servers'?"),
        (({"servers": ["a"], "steps": [{**GOOD_STEP, "type": "ecko"}]},), "did you mean 'echo'?"),
        (
            (
                {
                    "servers": ["a"],
                    "steps": [{"name": "w", "type": "sleep", "params": {"duration": "30 parsecs"}}],
                },
            ),
            "steps[0].params.duration: not a duration: '30 parsecs' "
            "(write 30s, 5m, 1h30m or a number of seconds)",
        ),
        (({"servers": [], "steps": [GOOD_STEP]},), "servers: a plan needs at least one server"),
        (({"servers": ["a", "b", "a"], "steps": [GOOD_STEP]},), "servers[2]"),
    ],
)
async def test_a_malformed_request_fails_with_the_right_words(bench, client, arguments, words):
    failure = await refusal(client, *arguments)
    assert words in failure.message


@pytest.mark.parametrize(
    "text",
    [
        '{"servers": ["\\ud800"], "steps": []}',
        "[" * 1000 + "]" * 1000,
        '{"servers": [' + "9" * 5000 + "]}",
    ],
    ids=["half a character", "too deep", "a huge number"],
)
async def test_an_input_that_cannot_even_be_read_fails_with_words(bench, client, text):
    raw = RawValue(Payload(metadata={"encoding": b"json/plain"}, data=text.encode()))
    with pytest.raises(WorkflowFailureError) as caught:
        await client.execute_workflow(
            names.ORCHESTRATION_WORKFLOW,
            raw,
            id=f"unread-{len(text)}",
            task_queue=names.ORCHESTRATOR_QUEUE,
        )
    assert caught.value.cause.type == names.FAILURE_INVALID_PLAN
    assert caught.value.cause.details[0]["problems"]


async def test_all_problems_come_at_once_and_in_the_details(bench, client):
    failure = await refusal(
        client,
        {
            "servers": [],
            "steps": [{"nme": "x", "type": "echo"}],
            "rolloutStrategy": {"type": "rolling"},
        },
    )
    problems = failure.details[0]["problems"]
    assert len(problems) >= 4
    assert {"steps[0].nme", "rolloutStrategy.type", "servers"} <= {p["path"] for p in problems}


async def test_a_step_type_that_a_server_lacks_refuses_the_plan_and_names_the_server(bench, client):
    await bench.start_servers("a", "b")
    with pytest.raises(WorkflowFailureError) as caught:
        await bench.run(
            {
                "servers": ["a", "b"],
                "steps": [GOOD_STEP, {"name": "x", "type": "quantum_flip", "params": {}}],
            }
        )
    message = caught.value.cause.message
    assert caught.value.cause.type == names.FAILURE_INVALID_PLAN
    assert "steps[1].type: unknown step type 'quantum_flip' on" in message
    assert bench.id_of("a") in message


async def test_a_plan_over_the_limits_is_refused_with_the_figure_and_the_limit(bench, client):
    failure = await refusal(
        client, {"servers": [f"s{n}" for n in range(10_001)], "steps": [GOOD_STEP]}
    )
    assert "10,001 servers are more than one rollout takes (10,000)" in failure.message
