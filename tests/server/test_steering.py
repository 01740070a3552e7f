"""Orders to a running rollout: pause and resume, approvals, limits, deadlines."""

import asyncio

import pytest
from temporalio.client import WorkflowUpdateFailedError

from kitsune import names
from kitsune.models.orders import ApproveOrder, PauseOrder, ResumeOrder, SetOrder
from kitsune.models.requests import AbortRequest
from kitsune.models.results import RolloutResult
from support.bench import plan_of, statuses

pytestmark = pytest.mark.server

ROLLING = {"type": "Rolling", "batchSize": 1}


async def say(handle, verb, order=None):
    """Give an order and return the answer."""
    return await handle.execute_update(verb, order, result_type=str)


async def refusal(handle, verb, order=None):
    """Give an order that makes no sense and return why."""
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await say(handle, verb, order)
    return caught.value.cause.message


async def in_the_middle(bench, **keys):
    """Return a rollout whose first server is in its second step."""
    await bench.start_servers("a", "b")
    plan = plan_of("ab", ROLLING)
    plan["steps"][0]["params"] = {"hold": ["a"]}
    handle = await bench.start({**plan, **keys})
    await bench.probe.held.wait()
    return handle


async def test_a_paused_rollout_holds_before_the_next_step_and_goes_on_after(bench):
    handle = await in_the_middle(bench)
    assert await say(handle, names.PAUSE, PauseOrder(actor="anna", reason="lunch")) == "paused"
    assert await say(handle, names.PAUSE) == "already paused"
    await told(bench, names.PAUSE)
    bench.probe.released.set()
    await told(bench, names.PAUSE, steps=1)
    seen = await bench.until_progress(handle, lambda seen: seen.paused)
    assert [(order.verb, order.actor, order.reason) for order in seen.orders] == [
        ("pause", "anna", "lunch")
    ]
    memo = await (await handle.describe()).memo()
    assert memo[names.MEMO_ROLLOUT]["paused"]
    assert bench.probe.count("execute", "two") == []
    assert await say(handle, names.RESUME, ResumeOrder(actor="ben")) == "resumed"
    assert await say(handle, names.RESUME) == "not paused"
    result = await bench.end_of(handle)
    assert statuses(result) == {"a": "succeeded", "b": "succeeded"}
    assert [order.verb for order in result.orders] == ["pause", "resume"]


async def told(bench, name, *, steps=0):
    """Wait until the first server's workflow has been told something, and has finished so many steps."""
    child = bench.client.get_workflow_handle(names.server_execution_id(bench.id_of("a")))
    async with asyncio.timeout(30):
        while True:
            events = (await child.fetch_history()).events
            signals = [event.workflow_execution_signaled_event_attributes for event in events]
            done = [event.activity_task_completed_event_attributes for event in events]
            if any(signal.signal_name == name for signal in signals) and (
                sum(1 for step in done if step.ByteSize()) >= steps
            ):
                return
            await asyncio.sleep(0.1)


async def test_a_drained_pause_lets_servers_in_flight_finish_and_starts_no_other(bench):
    handle = await in_the_middle(bench)
    await say(handle, names.PAUSE, PauseOrder(drain=True))
    bench.probe.released.set()
    seen = await bench.until_progress(handle, lambda seen: seen.counts.get("succeeded") == 1)
    assert seen.counts == {"succeeded": 1, "pending": 1}
    await handle.signal(names.RESUME)
    assert statuses(await bench.end_of(handle)) == {"a": "succeeded", "b": "succeeded"}


async def test_a_pause_that_comes_before_the_plan_is_accepted_is_obeyed(bench):
    await bench.start_servers("a")
    plan = {**plan_of("a"), "servers": [bench.id_of("a")]}
    handle = await bench.client.start_workflow(
        names.ORCHESTRATION_WORKFLOW,
        plan,
        id=f"{bench.prefix}-early",
        task_queue=names.ORCHESTRATOR_QUEUE,
        result_type=RolloutResult,
        start_signal=names.PAUSE,
        start_signal_args=["not yet"],
    )
    bench.rollouts.append(handle)
    await bench.until_progress(handle, lambda seen: seen.paused and seen.total == 1)
    assert bench.probe.ledger == []
    await say(handle, names.RESUME)
    result = await bench.end_of(handle)
    assert result.success
    assert [order.reason for order in result.orders] == ["not yet", ""]


async def test_an_abort_ends_a_paused_rollout(bench):
    handle = await in_the_middle(bench)
    await handle.signal(names.PAUSE, "lunch")
    await told(bench, names.PAUSE)
    bench.probe.released.set()
    await told(bench, names.PAUSE, steps=1)
    await say(handle, names.ABORT, AbortRequest(actor="anna"))
    result = await bench.end_of(handle)
    assert result.status == "aborted"
    assert [order.verb for order in result.orders] == ["pause", "abort"]
    assert bench.probe.count("execute", "two") == []


async def test_a_deadline_does_not_pass_while_the_rollout_is_paused(bench):
    handle = await in_the_middle(bench, deadline=4)
    await say(handle, names.PAUSE, PauseOrder(drain=True))
    before = (await bench.until_progress(handle, lambda seen: seen.paused)).started_at
    await asyncio.sleep(5)
    assert not (await bench.until_progress(handle, lambda seen: True)).reason, before
    await say(handle, names.RESUME)
    await bench.until_progress(handle, lambda seen: seen.reason is not None)
    bench.probe.released.set()
    result = await bench.end_of(handle)
    assert result.reason == "not done within its deadline of 4s"
    assert statuses(result) == {"a": "succeeded", "b": "notStarted"}


async def test_a_rollout_stops_when_no_server_ends_for_too_long(bench):
    strategy = {**ROLLING, "progressDeadline": 3, "onStop": "cancel"}
    handle = await in_the_middle(bench, rolloutStrategy=strategy)
    result = await bench.end_of(handle)
    assert result.reason == "no server has ended for 3s"
    assert statuses(result) == {"a": "cancelled", "b": "notStarted"}


async def test_an_approval_opens_the_gate_that_it_names_and_no_other(bench):
    await bench.start_servers("a", "b", "c")
    handle = await bench.start(plan_of("abc", {**ROLLING, "approval": "everyBatch"}))
    seen = await bench.until_progress(handle, lambda seen: seen.gate is not None)
    assert (seen.phase, seen.gate.id, seen.counts) == (
        "approval",
        "batch-1",
        {"succeeded": 1, "pending": 2},
    )
    assert await refusal(handle, names.APPROVE) == "an approval names its gate: 'batch-1' is"
    assert "'batch-1' is" in await refusal(handle, names.APPROVE, "batch-2")
    first = ApproveOrder(actor="anna", gate="batch-1")
    assert await say(handle, names.APPROVE, first) == "approved batch-1"
    await bench.until_progress(handle, lambda seen: seen.gate and seen.gate.id == "batch-2")
    assert await say(handle, names.APPROVE, first) == "already approved batch-1"
    assert bench.probe.count("execute", "one") == ["a", "b"]
    await handle.signal(names.APPROVE, {"gate": "batch-2", "actor": "ben"})
    result = await bench.end_of(handle)
    assert result.success
    assert [(order.actor, order.detail) for order in result.orders] == [
        ("anna", "batch-1"),
        ("ben", "batch-2"),
    ]


async def test_a_gate_that_nobody_opens_stops_the_rollout(bench):
    await bench.start_servers("a", "b")
    canary = {"type": "Canary", "approval": "afterCanary", "approvalTimeout": 0.5}
    result = await bench.run(plan_of("ab", canary))
    assert result.reason == "nobody approved canary within 0.5s"
    assert statuses(result) == {"a": "succeeded", "b": "notStarted"}


async def test_limits_can_be_set_while_it_runs(bench):
    handle = await in_the_middle(bench)
    assert "nothing to set" in await refusal(handle, names.SET, SetOrder())
    order = SetOrder(actor="anna", max_failures=1, max_concurrency=2)
    assert await say(handle, names.SET, order) == "set maxFailures 0 -> 1, maxConcurrency all -> 2"
    assert await say(handle, names.SET, order) == "already so"
    bench.probe.fail_when_released = True
    bench.probe.released.set()
    result = await bench.end_of(handle)
    assert statuses(result) == {"a": "failed", "b": "succeeded"}
    assert [order.detail for order in result.orders] == [
        "maxFailures 0 -> 1, maxConcurrency all -> 2"
    ]
