"""Failed servers that are held until somebody decides."""

import pytest
from temporalio.client import WorkflowUpdateFailedError

from kitsune import names
from kitsune.models.orders import ServerOrder
from kitsune.models.requests import AbortRequest
from support.bench import plan_of, statuses

pytestmark = pytest.mark.server

ASK = {"type": "Rolling", "batchSize": 1, "onFailure": "ask"}


async def held(bench, strategy=None, **keys):
    """Return a rollout whose first server is held, having failed its second step."""
    await bench.start_servers("a", "b")
    bench.probe.fail_when_released = True
    bench.probe.released.set()
    handle = await bench.start({**plan_of("ab", strategy or ASK, hold="a"), **keys})
    seen = await bench.until_progress(handle, lambda seen: seen.counts.get("held") == 1)
    assert seen.servers[0].failed_step == "two"
    assert "told to fail" in seen.servers[0].error
    return handle


async def decide(bench, handle, verb):
    order = ServerOrder(actor="anna", server_id=bench.id_of("a"))
    return await handle.execute_update(verb, order, result_type=str)


async def test_a_held_server_that_is_retried_goes_on_from_the_failed_step(bench):
    handle = await held(bench)
    bench.probe.fail_when_released = False
    assert await decide(bench, handle, names.RETRY) == f"retry {bench.id_of('a')}"
    result = await bench.end_of(handle)
    assert statuses(result) == {"a": "succeeded", "b": "succeeded"}
    assert bench.probe.count("execute", "one") == ["a", "b"]
    assert bench.probe.count("execute", "two") == ["a", "a", "b"]
    assert [step.generation for step in result.results[0].steps_executed] == [0, 1]
    assert bench.probe.count("rollback") == []


async def test_a_retry_that_fails_again_is_held_again_and_undone_when_asked(bench):
    handle = await held(bench)
    await decide(bench, handle, names.RETRY)
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a", "a"])
    await bench.until_progress(handle, lambda seen: seen.counts.get("held") == 1)
    await decide(bench, handle, names.ROLLBACK)
    result = await bench.end_of(handle)
    assert statuses(result) == {"a": "failed", "b": "notStarted"}
    assert result.results[0].rolled_back
    assert bench.probe.count("rollback", "one") == ["a"]


async def test_a_skipped_server_fails_and_stays_as_it_is(bench):
    handle = await held(bench, {**ASK, "maxFailures": 1})
    await decide(bench, handle, names.SKIP)
    result = await bench.end_of(handle)
    assert statuses(result) == {"a": "failed", "b": "succeeded"}
    assert bench.probe.count("rollback") == []
    assert "left as it is" in result.results[0].error


async def test_a_held_server_counts_as_failed_but_does_not_stop_the_rollout(bench):
    parallel = {"type": "Parallel", "maxConcurrency": 1, "onFailure": "ask"}
    handle = await held(bench, parallel)
    seen = await bench.until_progress(handle, lambda seen: True)
    assert seen.counts == {"held": 1, "pending": 1}
    assert seen.reason is None
    bench.probe.fail_when_released = False
    await decide(bench, handle, names.RETRY)
    assert (await bench.end_of(handle)).success


@pytest.mark.parametrize("rollback", [False, True])
async def test_an_abort_ends_a_hold_and_undoes_it_where_asked(bench, rollback):
    handle = await held(bench)
    await handle.execute_update(names.ABORT, AbortRequest(actor="anna", rollback=rollback))
    result = await bench.end_of(handle)
    assert statuses(result) == {"a": "failed", "b": "notStarted"}
    assert result.results[0].rolled_back is rollback


async def test_only_a_held_server_can_be_decided_about(bench):
    handle = await held(bench)
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(names.SKIP, {"serverId": bench.id_of("b")})
    assert "is not held" in caught.value.cause.message
    await handle.execute_update(names.ABORT, AbortRequest())
    await bench.end_of(handle)


@pytest.mark.parametrize(("scope", "undone"), [("server", True), ("none", False)])
async def test_a_stop_that_cancels_ends_a_hold_and_undoes_it_as_the_plan_says(bench, scope, undone):
    cancels = {**ASK, "onStop": "cancel"}
    handle = await held(bench, cancels, deadline=4, rollback={"scope": scope})
    result = await bench.end_of(handle)
    assert result.reason == "not done within its deadline of 4s"
    assert statuses(result) == {"a": "failed", "b": "notStarted"}
    assert result.results[0].rolled_back is undone


async def test_a_decision_about_one_step_is_not_one_about_the_next(bench):
    await bench.start_servers("a")
    plan = plan_of("a", {"onFailure": "ask"}, fail="a")
    plan["steps"][0]["params"] = {"failOnce": ["a"]}
    handle = await bench.start(plan)
    await bench.until_progress(handle, lambda seen: seen.counts.get("held") == 1)
    await handle.execute_update(names.RETRY, {"actor": "anna", "serverId": bench.id_of("a")})

    await bench.until(lambda: "a" in bench.probe.count("execute", "two"))
    await bench.until_progress(handle, lambda seen: seen.counts.get("held") == 1)
    assert bench.probe.count("execute", "two") == ["a"]

    await handle.execute_update(names.SKIP, {"actor": "anna", "serverId": bench.id_of("a")})
    assert statuses(await bench.end_of(handle)) == {"a": "failed"}
