"""Histories of released workflows replay with today's code."""

import json
from pathlib import Path

import pytest

from kitsune import names
from support.replaying import load_history, replay

HISTORIES = sorted((Path(__file__).parent / "histories").rglob("*.json"))


def type_of(history):
    return history.events[0].workflow_execution_started_event_attributes.workflow_type.name


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_a_saved_history_replays(path):
    await replay(load_history(path))


async def test_a_rollout_whose_first_worker_knew_no_webhooks_goes_on_where_the_next_one_does():
    history = load_history(HISTORIES[0].parents[1] / "0.2.0" / "succeeded.orchestration.json")
    answer = next(
        event.activity_task_completed_event_attributes.result.payloads[0]
        for event in history.events
        if event.HasField("activity_task_completed_event_attributes")
    )
    webhook = {"name": "ops", "events": ["rolloutStarted", "rolloutSucceeded"]}
    answer.data = json.dumps(json.loads(answer.data) | {"webhooks": [webhook]}).encode()
    await replay(history)


def test_every_workflow_type_has_a_saved_history():
    assert {type_of(load_history(path)) for path in HISTORIES} == {
        names.ORCHESTRATION_WORKFLOW,
        names.SERVER_EXECUTION_WORKFLOW,
        names.SERVER_ROLLBACK_WORKFLOW,
        names.SHARD_WORKFLOW,
        names.WEBHOOK_WORKFLOW,
    }
