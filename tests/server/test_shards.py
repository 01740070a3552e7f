"""A large rollout runs in shards, and behaves like a small one."""

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from kitsune import names
from kitsune.models.requests import AbortRequest
from kitsune.rollout import limits, shards
from kitsune.workflows import sharding
from support.bench import plan_of, statuses

pytestmark = pytest.mark.server


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    size_shards(monkeypatch, 2)


def size_shards(monkeypatch, servers):
    for module in (limits, shards, sharding):
        monkeypatch.setattr(module, "MAX_IN_SHARD", servers)


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


async def shards_that_ran(bench):
    found = []
    for server in sorted({server for _, _, server in bench.probe.ledger}):
        child = bench.client.get_workflow_handle(names.server_execution_id(bench.id_of(server)))
        found.append((await child.describe()).parent_id.removeprefix(f"{bench.rollouts[-1].id}/"))
    return found


async def test_small_batches_share_shards_and_keep_their_order(bench, monkeypatch):
    size_shards(monkeypatch, 3)
    await bench.start_servers(*"abcdef")

    result = await bench.run(plan_of("abcdef", {"type": "Sequential"}))

    assert statuses(result) == dict.fromkeys("abcdef", "succeeded")
    assert [server for _, step, server in bench.probe.ledger if step == "two"] == list("abcdef")
    assert [server.batch for server in result.results] == list(range(6))
    assert await shards_that_ran(bench) == ["shard-1"] * 3 + ["shard-2"] * 3


async def test_the_stop_rule_is_as_sharp_within_a_shard(bench, monkeypatch):
    size_shards(monkeypatch, 4)
    await bench.start_servers(*"abcdef")

    result = await bench.run(plan_of("abcdef", {"type": "Sequential", "maxFailures": 1}, fail="ac"))

    assert statuses(result) == {
        "a": "failed",
        "b": "succeeded",
        "c": "failed",
        **dict.fromkeys("def", "notStarted"),
    }
    assert result.reason.startswith("2 servers failed, 1 allowed (the last: ")
    assert bench.probe.count("execute", "one") == list("abc")


async def test_a_canary_in_small_batches_is_a_shard_of_its_own_that_must_not_fail(
    bench, monkeypatch
):
    size_shards(monkeypatch, 4)
    await bench.start_servers(*"abcde")
    canary = {"type": "Sequential", "canaryPercentage": 40, "maxFailures": 5}

    result = await bench.run(plan_of("abcde", canary, fail="a"))

    assert statuses(result) == {"a": "failed", **dict.fromkeys("bcde", "notStarted")}
    assert "canary" in result.reason


async def test_limits_that_are_raised_reach_the_shard_that_runs(bench, monkeypatch):
    size_shards(monkeypatch, 4)
    await bench.start_servers(*"abcde")
    plan = plan_of("abcde", {"type": "Sequential"}, hold="a", fail="bc")
    handle = await bench.start(plan)
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a"])

    await handle.execute_update(names.SET, {"actor": "anna", "maxFailures": 1})
    bench.probe.released.set()
    result = await bench.end_of(handle)

    assert statuses(result) == {
        "a": "succeeded",
        **dict.fromkeys("bc", "failed"),
        **dict.fromkeys("de", "notStarted"),
    }


async def test_gates_between_batches_of_one_shard_wait_for_a_person(bench, monkeypatch):
    size_shards(monkeypatch, 3)
    await bench.start_servers(*"abcd")
    handle = await bench.start(plan_of("abcd", {"type": "Sequential", "approval": "everyBatch"}))

    for number, done in ((1, "a"), (2, "ab"), (3, "abc")):
        gate = f"batch-{number}"
        await bench.until_progress(handle, lambda seen: seen.gate and seen.gate.id == gate)  # noqa: B023
        assert bench.probe.count("execute", "two") == list(done)
        await handle.execute_update(names.APPROVE, {"gate": gate})

    assert statuses(await bench.end_of(handle)) == dict.fromkeys("abcd", "succeeded")


async def test_a_delay_between_batches_of_one_shard_is_shown(bench, monkeypatch):
    size_shards(monkeypatch, 3)
    await bench.start_servers(*"abcd")
    rolling = {"type": "Rolling", "batchSize": [1, 1, 2], "batchDelaySeconds": 3600}
    handle = await bench.start(plan_of("abcd", rolling))

    seen = await bench.until_progress(handle, lambda seen: seen.wait_until is not None)
    assert seen.phase.value == "waiting"
    assert (seen.wait_until - seen.servers[0].ended_at).total_seconds() == 3600
    await handle.execute_update(names.ABORT, AbortRequest(actor="anna"))
    result = await bench.end_of(handle)
    assert statuses(result) == {"a": "succeeded", **dict.fromkeys("bcd", "notStarted")}


async def test_a_server_that_is_away_holds_up_no_undo_of_other_shards(bench):
    await bench.start_servers(*"abcd")
    wire = await bench.start_separate_server("e")
    plan = plan_of("abcde", {"type": "Rolling", "batchSize": 2, "maxFailures": 0}, hold="e")
    gone = {"unreachable": {"timeout": 2}, "heartbeatTimeout": 3}
    handle = await bench.start({**plan, **gone, "rollback": {"scope": "fleet", "deadline": "1m"}})
    await bench.until(lambda: bench.probe.count("execute", "two") == list("abcde"))

    wire.cut()
    await bench.until(lambda: bench.probe.count("rollback", "one") == list("abcd"))
    seen = await bench.until_progress(handle, lambda seen: "rollbackPending" in seen.counts)
    assert seen.rollback_until is not None

    bench.probe.released.set()
    wire.mend()
    result = await bench.end_of(handle)
    assert [server.rolled_back for server in result.results] == [True] * 5


async def test_an_abort_with_rollback_is_obeyed_while_shards_are_undoing(bench):
    await bench.start_servers(*"abcd")
    wire = await bench.start_separate_server("e")
    plan = plan_of("abcde", {"type": "Rolling", "batchSize": 2}, hold="e")
    gone = {"unreachable": {"timeout": 2}, "heartbeatTimeout": 3}
    handle = await bench.start({**plan, **gone, "rollback": {"deadline": "1m"}})
    await bench.until(lambda: bench.probe.count("execute", "two") == list("abcde"))
    wire.cut()
    await bench.until_progress(handle, lambda seen: "rollbackPending" in seen.counts)
    assert bench.probe.count("rollback", "one") == []

    await handle.execute_update(names.ABORT, AbortRequest(actor="anna", rollback=True))
    await bench.until(lambda: bench.probe.count("rollback", "one") == list("abcd"))

    bench.probe.released.set()
    wire.mend()
    result = await bench.end_of(handle)
    assert [server.rolled_back for server in result.results] == [True] * 5


async def test_a_server_that_another_rollout_holds_is_shown_with_its_holder(bench):
    await bench.start_servers(*"abc")
    holder = await bench.start(plan_of("a", hold="a"))
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a"])

    handle = await bench.start(plan_of("abc"))
    seen = await bench.until_progress(handle, lambda seen: seen.counts.get("waiting") == 1)
    assert holder.id in seen.servers[0].error

    bench.probe.released.set()
    await bench.end_of(holder)
    assert statuses(await bench.end_of(handle)) == dict.fromkeys("abc", "succeeded")
