"""Servers that do not answer, and servers that are taken."""

import pytest

from kitsune import names
from kitsune.models.requests import AbortRequest
from support.bench import plan_of, statuses

pytestmark = pytest.mark.server

SOON = {"unreachable": {"timeout": 1.5}}


async def test_an_unreachable_server_counts_as_failed_before_anything_is_touched(bench):
    await bench.start_servers("a")
    result = await bench.run({**plan_of("ab"), **SOON})
    assert statuses(result) == {"a": "notStarted", "b": "unreachable"}
    assert result.status == "stopped"
    assert bench.probe.ledger == []
    assert "kitsune local-worker --server-id" in result.results[1].error


async def test_unreachable_servers_within_the_limit_are_left_behind(bench):
    await bench.start_servers("a")
    result = await bench.run({**plan_of("ab", {"maxFailures": 1}), **SOON})
    assert statuses(result) == {"a": "succeeded", "b": "unreachable"}
    assert result.status == "incomplete"


async def test_silent_servers_that_are_asked_in_turns_do_not_hang_the_rollout(bench):
    large = {"name": "large", "type": "echo", "params": {"message": "x" * 700_000}}
    result = await bench.run(
        {**plan_of("abc", {"maxFailures": -1}), "steps": [large], "unreachable": {"timeout": 1}}
    )
    assert set(statuses(result).values()) == {"unreachable"}


async def test_policy_skip_leaves_a_server_out(bench):
    await bench.start_servers("a")
    result = await bench.run({**plan_of("ab"), "unreachable": {"policy": "skip", "timeout": 1.5}})
    assert statuses(result) == {"a": "succeeded", "b": "skipped"}
    assert result.status == "incomplete"


async def test_a_batch_in_which_nobody_answers_stops_the_rollout(bench):
    await bench.start_servers("a")
    result = await bench.run(
        {**plan_of("abc", {"type": "Rolling", "batchSize": [1, 2], "maxFailures": -1}), **SOON}
    )
    assert statuses(result) == {"a": "notStarted", "b": "unreachable", "c": "unreachable"}
    assert result.reason == "no server of batch 2 answered"


async def test_a_taken_server_is_waited_for(bench):
    await bench.start_servers("a")
    first = await bench.start(plan_of("a", hold="a"))
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a"])
    second = await bench.start(plan_of("a"))
    progress = await bench.until_progress(second, lambda seen: seen.counts == {"waiting": 1})
    assert first.id in progress.servers[0].error
    bench.probe.released.set()
    assert (await bench.end_of(first)).success
    assert (await bench.end_of(second)).success


async def test_a_server_that_stays_taken_fails_and_the_holder_is_named(bench):
    await bench.start_servers("a")
    first = await bench.start(plan_of("a", hold="a"))
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a"])
    result = await bench.run({**plan_of("a"), "busy": {"policy": "fail"}})
    assert statuses(result) == {"a": "failed"}
    assert f"held by rollout {first.id!r}" in result.results[0].error
    waited = await bench.run({**plan_of("a"), "busy": {"timeout": "1s"}})
    assert "for more than 1s" in waited.results[0].error


async def test_an_abort_ends_the_waiting_for_a_taken_server(bench):
    await bench.start_servers("a")
    await bench.start(plan_of("a", hold="a"))
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a"])
    second = await bench.start(plan_of("a"))
    await bench.until_progress(second, lambda seen: seen.counts == {"waiting": 1})
    await second.execute_update(names.ABORT, AbortRequest(actor="anna", reason="changed my mind"))
    result = await bench.end_of(second)
    assert statuses(result) == {"a": "notStarted"}
    assert result.reason == "aborted by anna: changed my mind"


async def test_a_server_that_goes_away_in_the_middle_ends_as_unknown(bench):
    await bench.start_servers("b")
    away = await bench.start_separate_server("a")
    handle = await bench.start(
        {
            **plan_of("ab", {"maxFailures": 1}, hold="a"),
            "heartbeatTimeout": 3,
            "unreachable": {"timeout": 2},
        }
    )
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a", "b"])
    away.cut()
    result = await bench.end_of(handle)
    assert statuses(result) == {"a": "unknown", "b": "succeeded"}
    assert "step '2/2 two (probe)' had started" in result.results[0].error
