"""A large rollout runs in shards, and behaves like a small one."""

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from kitsune import names
from kitsune.models.requests import AbortRequest
from kitsune.rollout import limits, shards
from support.bench import plan_of, statuses

pytestmark = pytest.mark.server


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    for module in (limits, shards):
        monkeypatch.setattr(module, "MAX_IN_SHARD", 2)


def shard_of(bench, number):
    return bench.client.get_workflow_handle(f"{bench.rollouts[-1].id}/shard-{number}")


async def test_every_server_succeeds_and_is_told_by_name(bench):
    await bench.start_servers(*"abcde")

    result = await bench.run(plan_of("abcde"))

    assert statuses(result) == dict.fromkeys("abcde", "succeeded")
    assert result.success
    assert result.servers_patched == 5
    child = bench.client.get_workflow_handle(names.server_execution_id(bench.id_of("e")))
    assert (await child.describe()).parent_id == f"{bench.rollouts[-1].id}/shard-3"


async def test_a_failure_in_one_shard_stops_the_others_and_undoes_them(bench):
    await bench.start_servers(*"abcdef")
    plan = plan_of("abcdef", {"type": "Rolling", "batchSize": 3}, fail="c")

    result = await bench.run({**plan, "rollback": {"scope": "fleet"}})

    assert statuses(result) == dict.fromkeys("ab", "succeeded") | {"c": "failed"} | dict.fromkeys(
        "def", "notStarted"
    )
    assert result.reason.endswith("c, failed)")
    assert [server.rolled_back for server in result.results] == [True] * 3 + [False] * 3
    assert bench.probe.count("execute", "one") == list("abc")


async def test_failures_of_all_shards_count_together(bench):
    await bench.start_servers(*"abcdefgh")
    plan = plan_of("abcdefgh", {"type": "Rolling", "batchSize": 4, "maxFailures": 1}, fail="ad")

    result = await bench.run(plan)

    assert result.servers_failed == 2
    assert result.status.value == "stopped"
    assert {statuses(result)[server] for server in "efgh"} == {"notStarted"}


async def test_an_abort_reaches_every_shard(bench):
    await bench.start_servers(*"abcd")
    handle = await bench.start(plan_of("abcd", hold="abcd"))
    await bench.until(lambda: len(bench.probe.count("execute", "two")) == 4)

    await handle.execute_update(names.ABORT, AbortRequest(actor="anna", rollback=True))
    result = await bench.end_of(handle)

    assert statuses(result) == dict.fromkeys("abcd", "cancelled")
    assert all(server.rolled_back for server in result.results)
    assert result.actor == "anna"


async def test_no_more_servers_run_at_once_than_the_plan_allows(bench):
    await bench.start_servers(*"abcdef")
    handle = await bench.start(plan_of("abcdef", {"maxConcurrency": 3}, hold="abcdef"))
    await bench.until(lambda: len(bench.probe.count("execute", "two")) == 3)
    seen = await bench.until_progress(handle, lambda seen: seen.counts.get("running") == 3)
    assert seen.counts == {"running": 3, "pending": 3}

    bench.probe.released.set()
    assert statuses(await bench.end_of(handle)) == dict.fromkeys("abcdef", "succeeded")


async def test_a_server_that_is_away_and_a_canary_that_fails_are_what_they_always_are(bench):
    await bench.start_servers(*"abcd")
    away = {**plan_of([*"abcd", "gone"]), "unreachable": {"policy": "skip", "timeout": 1}}
    result = await bench.run(away)
    assert statuses(result) == dict.fromkeys("abcd", "succeeded") | {"gone": "skipped"}

    canary = {"type": "Canary", "canaryPercentage": 25, "maxFailures": 10}
    result = await bench.run(plan_of("abcd", canary, fail="a"))
    assert statuses(result) == {"a": "failed"} | dict.fromkeys("bcd", "notStarted")


async def test_a_plan_that_servers_cannot_run_is_refused_and_leaves_no_shard(bench):
    await bench.start_servers(*"abc")
    plan = plan_of("abc")
    plan["steps"].append({"name": "odd", "type": "peculiar", "params": {}})

    with pytest.raises(WorkflowFailureError) as caught:
        await bench.run(plan)

    assert caught.value.cause.message.count("unknown step type 'peculiar' on") == 1
    assert all(bench.id_of(server) in caught.value.cause.message for server in "abc")
    assert bench.probe.ledger == []
    for number in (1, 2):
        description = await shard_of(bench, number).describe()
        assert description.status is not WorkflowExecutionStatus.RUNNING


async def test_a_shard_that_is_terminated_leaves_its_servers_unknown(bench):
    await bench.start_servers(*"abcd")
    plan = plan_of("abcd", {"maxFailures": 4}, hold="cd")
    handle = await bench.start(plan)
    await bench.until(lambda: len(bench.probe.count("execute", "two")) == 4)

    await shard_of(bench, 2).terminate("a mistake")
    result = await bench.end_of(handle)

    assert statuses(result) == dict.fromkeys("ab", "succeeded") | dict.fromkeys("cd", "unknown")
    assert "ended from outside" in result.results[-1].error


async def test_a_rollout_that_is_terminated_ends_its_servers_through_their_shards(bench):
    await bench.start_servers(*"abc")
    handle = await bench.start(plan_of("abc", hold="abc"))
    await bench.until(lambda: len(bench.probe.count("execute", "two")) == 3)

    await handle.terminate("a mistake")
    for number in (1, 2):
        await shard_of(bench, number).result()
    child = bench.client.get_workflow_handle(names.server_execution_id(bench.id_of("a")))
    with pytest.raises(WorkflowFailureError) as caught:
        await child.result()
    assert caught.value.cause.type == names.FAILURE_SERVER_CANCELLED


async def test_whoever_waits_for_a_server_of_a_shard_is_told_the_rollout(bench):
    await bench.start_servers(*"abc")
    handle = await bench.start(plan_of("abc", hold="abc"))
    await bench.until(lambda: len(bench.probe.count("execute", "two")) == 3)

    result = await bench.run({**plan_of("a"), "busy": {"policy": "fail"}})
    assert f"held by rollout {handle.id!r}" in result.results[0].error

    bench.probe.released.set()
    await bench.end_of(handle)


async def test_a_pause_holds_every_shard_and_a_resume_lets_them_go_on(bench):
    await bench.start_servers(*"abcd")
    handle = await bench.start(plan_of("abcd", {"type": "Rolling", "batchSize": 3}, hold="a"))
    await bench.until(lambda: bench.probe.count("execute", "two") == list("abc"))

    await handle.execute_update(names.PAUSE, {"actor": "anna"})
    bench.probe.released.set()
    seen = await bench.until_progress(handle, lambda seen: seen.counts.get("succeeded") == 3)
    assert seen.paused
    assert seen.counts == {"succeeded": 3, "pending": 1}

    await handle.execute_update(names.RESUME, {"actor": "anna"})
    assert statuses(await bench.end_of(handle)) == dict.fromkeys("abcd", "succeeded")


async def test_a_failure_that_is_held_in_one_shard_holds_the_others_and_can_be_decided(bench):
    await bench.start_servers(*"abcd")
    strategy = {"onFailure": "ask", "maxConcurrency": 2}
    handle = await bench.start(plan_of("abcd", strategy, fail="a"))
    await bench.until_progress(handle, lambda seen: seen.counts.get("held") == 1)
    await bench.until_progress(handle, lambda seen: seen.counts.get("succeeded") == 1)
    assert bench.probe.count("execute", "two") == list("ab")

    order = {"actor": "anna", "serverId": bench.id_of("a")}
    await handle.execute_update(names.ROLLBACK, order)
    result = await bench.end_of(handle)

    assert statuses(result) == {
        "a": "failed",
        "b": "succeeded",
        "c": "notStarted",
        "d": "notStarted",
    }
    assert result.results[0].rolled_back
    assert [record.verb for record in result.orders] == ["rollback"]
