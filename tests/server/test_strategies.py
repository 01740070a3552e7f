"""Whole rollouts of each strategy type on a real Temporal server: order, the stop rule, the canary."""

import pytest

from support.bench import plan_of, statuses

pytestmark = pytest.mark.server

TWENTY = [f"n{number:02}" for number in range(20)]


async def test_parallel_starts_all_servers_at_once(bench):
    await bench.start_servers("a", "b", "c")
    handle = await bench.start(plan_of("abc", hold="abc"))
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a", "b", "c"])
    bench.probe.released.set()
    result = await bench.end_of(handle)
    assert result.success
    assert (result.servers_patched, result.servers_failed) == (3, 0)


async def test_sequential_takes_one_server_after_the_other(bench):
    await bench.start_servers("a", "b", "c")
    result = await bench.run(plan_of("cab", {"type": "Sequential"}))
    assert result.success
    assert [server for _, step, server in bench.probe.ledger if step == "one"] == ["c", "a", "b"]
    last_of_c = bench.probe.ledger.index(("execute", "two", "c"))
    assert last_of_c < bench.probe.ledger.index(("execute", "one", "a"))


async def test_rolling_finishes_a_batch_before_the_next(bench):
    await bench.start_servers("a", "b", "c")
    handle = await bench.start(
        plan_of("abc", {"type": "Rolling", "batchSize": 2, "batchDelaySeconds": 0.1}, hold="b")
    )
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a", "b"])
    assert bench.probe.count("execute", "one") == ["a", "b"]
    bench.probe.released.set()
    assert (await bench.end_of(handle)).success


async def test_a_failed_canary_stops_the_rollout_whatever_is_allowed(bench):
    await bench.start_servers("a", "b", "c")
    result = await bench.run(plan_of("abc", {"type": "Canary", "maxFailures": -1}, fail="a"))
    assert result.status == "stopped"
    assert statuses(result) == {"a": "failed", "b": "notStarted", "c": "notStarted"}
    assert result.reason.startswith("canary ")
    assert bench.probe.count("execute", "one") == ["a"]


async def test_a_good_canary_is_followed_by_the_rest(bench):
    await bench.start_servers("a", "b", "c")
    result = await bench.run(plan_of("abc", {"type": "Canary", "canarySoakSeconds": 0.2}))
    assert result.success
    assert [server.batch for server in result.results] == [0, 1, 1]


async def test_max_concurrency_is_a_sliding_window(bench):
    await bench.start_servers("a", "b", "c")
    handle = await bench.start(plan_of("abc", {"maxConcurrency": 2}, hold="a"))
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a", "b", "c"])
    ledger = bench.probe.ledger
    assert ledger.index(("execute", "two", "b")) < ledger.index(("execute", "one", "c"))
    bench.probe.released.set()
    assert (await bench.end_of(handle)).success


@pytest.mark.parametrize(
    ("strategy", "failing", "started"),
    [
        ({"type": "Sequential", "maxFailures": 1}, ["n03", "n07"], 8),
        ({"type": "Rolling", "batchSize": 5, "maxFailures": 2}, ["n01", "n06", "n08"], 10),
        ({"type": "Canary", "batchSize": 4, "maxFailures": 0}, ["n05"], 6),
        ({"type": "Parallel", "maxFailures": "10%"}, ["n02", "n04", "n09"], 20),
    ],
)
async def test_the_stop_rule_on_twenty_servers(bench, strategy, failing, started):
    await bench.start_servers(*TWENTY)
    result = await bench.run(plan_of(TWENTY, strategy, fail=failing))
    assert result.status == "stopped"
    assert bench.probe.count("execute", "one") == TWENTY[:started]
    assert result.counts == {
        "succeeded": started - len(failing),
        "failed": len(failing),
        **({"notStarted": 20 - started} if started < 20 else {}),
    }
    assert bench.probe.count("rollback", "one") == failing
    assert result.rolled_back == len(failing)


async def test_failures_within_the_limit_are_finished_with_and_reported(bench):
    await bench.start_servers("a", "b", "c")
    result = await bench.run(plan_of("abc", {"type": "Sequential", "maxFailures": 1}, fail="b"))
    assert result.status == "failed"
    assert not result.success
    assert statuses(result) == {"a": "succeeded", "b": "failed", "c": "succeeded"}
    assert result.servers_failed == 1


async def test_a_negative_limit_never_stops(bench):
    await bench.start_servers("a", "b")
    result = await bench.run(plan_of("ab", {"type": "Sequential", "maxFailures": -1}, fail="ab"))
    assert statuses(result) == {"a": "failed", "b": "failed"}
    assert result.status == "failed"


async def test_on_stop_drain_lets_servers_in_flight_finish(bench):
    await bench.start_servers("a", "b")
    handle = await bench.start(plan_of("ab", hold="b", fail="a"))
    await bench.until_progress(handle, lambda progress: progress.reason is not None)
    bench.probe.released.set()
    result = await bench.end_of(handle)
    assert statuses(result) == {"a": "failed", "b": "succeeded"}


async def test_on_stop_cancel_ends_servers_in_flight_and_undoes_them(bench):
    await bench.start_servers("a", "b")
    result = await bench.run(plan_of("ab", {"onStop": "cancel"}, hold="b", fail_after_hold="a"))
    assert statuses(result) == {"a": "failed", "b": "cancelled"}
    assert all(server.rolled_back for server in result.results)
    assert bench.probe.count("rollback", "one") == ["a", "b"]
