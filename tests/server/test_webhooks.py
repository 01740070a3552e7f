"""Webhooks of a rollout on a real Temporal server, told to a real HTTP receiver."""

import asyncio
import hashlib
import hmac
import json

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError

from kitsune import names
from kitsune.webhooks.settings import load_receivers
from support.bench import Bench, plan_of
from support.receiver import Receiver

pytestmark = pytest.mark.server

SECRET = b"a secret of this test"


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def receivers(receiver, tmp_path):
    path = tmp_path / "webhooks.json"
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    webhook = {"name": "ops", "url": f"{receiver.address}/hook"}
    path.write_text(json.dumps({"webhooks": [webhook | {"secretFile": str(tmp_path / "secret")}]}))
    return load_receivers(str(path), {})


@pytest.fixture
async def bench(client, tmp_path, receivers):
    bench = Bench(client, tmp_path)
    await bench.start_orchestrator(receivers=receivers)
    yield bench
    await bench.close()


def events_of(received):
    return [json.loads(request.body)["event"] for request in received]


def is_signed(request):
    timestamp, signature = request.headers["kitsune-signature"].split(",")
    signed = f"{timestamp.removeprefix('t=')}.".encode() + request.body
    return signature == f"v1={hmac.new(SECRET, signed, hashlib.sha256).hexdigest()}"


async def wait_for(receiver, holds):
    return await asyncio.to_thread(receiver.wait_for, holds)


async def types_in(handle, kind):
    return [event async for event in handle.fetch_history_events() if event.event_type == kind]


async def test_a_message_that_was_refused_is_sent_again_under_the_same_key(bench, receiver):
    receiver.answers = [503, (500, {}, b"not now"), 200]
    await bench.start_servers("a")
    result = await bench.run(plan_of("a"))
    assert result.success
    received = await wait_for(receiver, lambda seen: len(seen) >= 4)
    assert sorted(set(events_of(received))) == ["rolloutStarted", "rolloutSucceeded"]
    assert all(is_signed(request) for request in received)
    by_key = {}
    for request in received:
        by_key.setdefault(request.headers["idempotency-key"], set()).add(request.body)
    assert len(by_key) == 2, "one key for each message"
    assert all(len(bodies) == 1 for bodies in by_key.values()), "the same bytes under it"
    end = json.loads(received[-1].body)
    assert end["schema"] == "kitsune.webhook/v1"
    assert end["rollout"]["id"] == result.rollout_id
    assert end["rollout"]["counts"] == {"succeeded": 1}


async def test_what_waits_for_a_person_is_told_without_what_steps_printed(bench, receiver):
    await bench.start_servers("a", "b")
    plan = plan_of("ab", {"type": "Sequential", "approval": "everyBatch", "onFailure": "ask"})
    plan["steps"][1]["params"] = {"failAfterHold": ["a"]}
    handle = await bench.start(plan)
    await bench.until(lambda: ("execute", "two", "a") in bench.probe.ledger)
    await handle.execute_update(names.PAUSE, {"actor": "anna", "reason": "lunch"})
    await handle.execute_update(names.RESUME, {"actor": "ben"})
    bench.probe.held.set()
    await bench.until_progress(handle, lambda seen: seen.counts.get("held") == 1)
    await handle.execute_update(names.SKIP, {"serverId": bench.id_of("a"), "actor": "anna"})
    await bench.end_of(handle)
    received = await wait_for(receiver, lambda seen: len(seen) >= 5)
    told = {json.loads(request.body)["event"]: json.loads(request.body) for request in received}
    assert told.keys() == {
        "rolloutStarted", "rolloutPaused", "rolloutResumed", "serverHeld", "rolloutStopped",
    }  # fmt: skip
    assert (told["rolloutPaused"]["actor"], told["rolloutPaused"]["comment"]) == ("anna", "lunch")
    assert told["rolloutResumed"]["actor"] == "ben"
    assert told["serverHeld"]["server"] == {"id": bench.id_of("a"), "step": "two"}
    assert "1 server failed" in told["rolloutStopped"]["rollout"]["reason"]
    assert not any(b"told to fail" in request.body for request in received)


async def test_a_gate_is_told_with_its_name(bench, receiver):
    await bench.start_servers("a", "b")
    handle = await bench.start(plan_of("ab", {"type": "Rolling", "approval": "everyBatch"}))
    await bench.until_progress(handle, lambda seen: seen.gate is not None)
    received = await wait_for(receiver, lambda seen: "approvalNeeded" in events_of(seen))
    (needed,) = (json.loads(one.body) for one in received if b"approvalNeeded" in one.body)
    assert needed["gate"] == "batch-1"
    await handle.execute_update(names.ABORT, {"actor": "anna", "reason": "no"})
    received = await wait_for(receiver, lambda seen: "rolloutAborted" in events_of(seen))
    assert json.loads(received[-1].body)["actor"] == "anna"


async def test_a_receiver_that_is_away_costs_the_rollout_nothing(bench, receiver):
    receiver.answers = [503]
    bench.probe.released.clear()
    await bench.start_servers("a")
    handle = await bench.start({**plan_of("a", hold="a"), "unreachable": {"timeout": 1}})
    # The message waits for its next try while the servers in flight are watched.
    await wait_for(receiver, lambda seen: len(seen) >= 3)
    bench.probe.released.set()
    assert (await bench.end_of(handle)).success
    scheduled = await types_in(handle, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
    kinds = [
        event.activity_task_scheduled_event_attributes.activity_type.name for event in scheduled
    ]
    assert kinds == [names.VALIDATE_PLAN, names.PREFLIGHT, names.WATCH_SERVERS]
    receiver.answers = [200]


async def test_the_last_message_survives_the_death_of_the_worker(
    client, receiver, receivers, tmp_path
):
    receiver.answers = [503]
    first, second = Bench(client, tmp_path / "1"), Bench(client, tmp_path / "2")
    await first.start_orchestrator(receivers=receivers)
    await first.start_servers("a")
    await first.run(plan_of("a"))
    await wait_for(receiver, lambda seen: "rolloutSucceeded" in events_of(seen))
    await first.close()
    receiver.answers = [200]
    before = len(receiver.received)
    await second.start_orchestrator(receivers=receivers)
    await wait_for(receiver, lambda seen: "rolloutSucceeded" in events_of(seen[before:]))
    await second.close()


async def test_a_refusal_for_good_is_a_failed_workflow_of_its_own(bench, receiver):
    receiver.answers = [(404, {}, b"no such hook")]
    await bench.start_servers("a")
    handle = await bench.start(plan_of("a"))
    assert (await bench.end_of(handle)).success
    started = await types_in(handle, EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED)
    ids = [
        event.child_workflow_execution_started_event_attributes.workflow_execution.workflow_id
        for event in started
    ]
    (first, _last) = (found for found in ids if found.startswith("webhook-"))
    with pytest.raises(WorkflowFailureError) as failed:
        await bench.client.get_workflow_handle(first).result()
    assert failed.value.cause.type == names.FAILURE_WEBHOOK_FAILED
    reason = "webhook 'ops' was given up: it answered 404 (no such hook)"
    assert failed.value.cause.message == reason


async def test_a_rollout_without_webhooks_has_not_one_event_more(client, tmp_path):
    bench = Bench(client, tmp_path)
    await bench.start_orchestrator()
    await bench.start_servers("a")
    handle = await bench.start(plan_of("a"))
    await bench.end_of(handle)
    assert not await types_in(handle, EventType.EVENT_TYPE_MARKER_RECORDED)
    children = await types_in(handle, EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED)
    assert len(children) == 1
    await bench.close()
