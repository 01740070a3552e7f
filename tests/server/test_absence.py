"""Servers that are away: waited for at the start, left behind by an abort, rolled back when they return."""

import asyncio

import pytest

from kitsune import names
from kitsune.models.requests import AbortRequest
from support.bench import plan_of, statuses

pytestmark = pytest.mark.server

WAIT = {"unreachable": {"policy": "wait"}}


async def test_a_server_that_is_waited_for_joins_its_batch_and_holds_nobody_up(bench):
    await bench.start_servers("b")
    handle = await bench.start({**plan_of("ab", {"maxConcurrency": 1}), **WAIT})
    seen = await bench.until_progress(handle, lambda seen: seen.counts.get("succeeded") == 1)
    assert seen.counts == {"waitingForAgent": 1, "succeeded": 1}
    await bench.start_servers("a")
    assert statuses(await bench.end_of(handle)) == {"a": "succeeded", "b": "succeeded"}


async def test_a_server_that_never_comes_ends_as_unreachable(bench):
    await bench.start_servers("b")
    patience = {"unreachable": {"policy": "wait", "timeout": "2s", "maxUnreachable": 1}}
    result = await bench.run({**plan_of("ab"), **patience})
    assert statuses(result) == {"a": "unreachable", "b": "succeeded"}
    assert result.status == "incomplete"


async def test_unreachable_servers_have_a_budget_of_their_own(bench):
    await bench.start_servers("c")
    away = {"unreachable": {"timeout": 1, "maxUnreachable": 1}}
    result = await bench.run({**plan_of("abc", {"maxFailures": 5}), **away})
    assert result.reason.startswith("2 servers unreachable, 1 allowed")
    assert statuses(result)["c"] == "notStarted"


async def in_the_middle(bench, **keys):
    """Return a rollout whose only server goes away in its second step, and the wire to it."""
    wire = await bench.start_separate_server("a")
    plan = {**plan_of("a", hold="a"), "heartbeatTimeout": 3, **keys}
    handle = await bench.start(plan)
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a"])
    wire.cut()
    return handle, wire


async def test_an_abort_does_not_wait_for_an_agent_that_may_be_away_for_ever(bench):
    wire = await bench.start_separate_server("a")
    plan = plan_of("a")
    plan["steps"][1] = {"name": "two", "type": "sleep", "params": {"duration": "3s"}}
    plan["steps"].append({"name": "three", "type": "probe"})
    handle = await bench.start({**plan, **WAIT})
    await bench.until(lambda: bench.probe.count("execute", "one") == ["a"])
    wire.cut()
    await handle.execute_update(names.ABORT, AbortRequest(actor="anna"))
    result = await bench.end_of(handle)
    assert statuses(result) == {"a": "unknown"}
    wire.mend()
    after = {**plan_of("a"), "busy": {"timeout": "10s"}}
    assert (await bench.run(after)).success  # it is back, and took what came after
    assert bench.probe.count("execute", "three") == []


async def test_a_rollback_waits_for_a_server_that_is_away(bench):
    handle, wire = await in_the_middle(bench, unreachable={"timeout": 2})
    seen = await bench.until_progress(handle, lambda seen: "rollbackPending" in seen.counts)
    assert seen.rollback_until is not None
    bench.probe.released.set()
    wire.mend()
    result = await bench.end_of(handle)
    assert statuses(result) == {"a": "unknown"}
    assert result.results[0].rolled_back
    assert result.rollback_pending == 0
    assert bench.probe.count("rollback", "one") == ["a"]


async def test_a_rollback_that_is_never_possible_is_left_to_a_person(bench):
    keys = {"unreachable": {"timeout": 2}, "rollback": {"deadline": "1s"}}
    handle, _ = await in_the_middle(bench, **keys)
    result = await bench.end_of(handle)
    (server,) = result.results
    assert (server.rollback_pending, server.rolled_back, server.rollback_failed) == (
        True,
        False,
        False,
    )
    assert f"kitsune rollback {handle.id} --server {server.server_id} --retry" in server.error
    assert result.rollback_pending == 1


async def away_after_quick_steps(bench, *, hold):
    """Return how a rollout ends whose server goes away after its first step, a quick one, or in the middle of it."""
    bench.probe.quick = True
    wire = await bench.start_separate_server("a")
    plan = plan_of("a", hold="a" if hold else "")
    plan["steps"][0]["params"], plan["steps"][1] = (
        plan["steps"][1]["params"],
        {"name": "two", "type": "sleep", "params": {"duration": "2s"}},
    )
    plan |= {"unreachable": {"timeout": 2}, "rollback": {"deadline": "1s"}}
    handle = await bench.start(plan)
    await bench.until(lambda: bench.probe.count("execute", "one") == ["a"])
    if not hold:
        child = bench.client.get_workflow_handle(names.server_execution_id(bench.id_of("a")))
        await history_has(child, "timer_started_event_attributes")
    wire.cut()
    return await bench.end_of(handle)


async def history_has(handle, attributes):
    async with asyncio.timeout(30):
        while True:
            events = [event async for event in handle.fetch_history_events()]
            if any(event.HasField(attributes) for event in events):
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("hold", [False, True])
async def test_a_server_that_goes_away_after_a_quick_step_was_touched(bench, hold):
    result = await away_after_quick_steps(bench, hold=hold)
    bench.probe.released.set()
    assert statuses(result) == {"a": "unknown"}
    assert "had started" in result.results[0].error
    assert "no step" not in result.results[0].error
    assert result.results[0].rollback_pending or result.results[0].rollback_failed
