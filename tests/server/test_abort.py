"""Aborting: by update, by signal, by Temporal's own cancel; with and without rollback."""

import pytest

from kitsune import names
from kitsune.models.requests import AbortRequest
from support.bench import plan_of, statuses

pytestmark = pytest.mark.server

ROLLING = {"type": "Rolling", "batchSize": 1}


async def in_the_middle(bench, **keys):
    """Return a rollout that has done `a`, holds `b`, and has not begun with `c`."""
    await bench.start_servers("a", "b", "c")
    handle = await bench.start({**plan_of("abc", ROLLING, hold="b"), **keys})
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a", "b"])
    return handle


async def test_an_abort_cancels_what_runs_and_starts_nothing_more(bench):
    handle = await in_the_middle(bench)
    said = await handle.execute_update(
        names.ABORT, AbortRequest(actor="anna", reason="wrong build"), result_type=str
    )
    assert said == "aborted"
    result = await bench.end_of(handle)
    assert statuses(result) == {"a": "succeeded", "b": "cancelled", "c": "notStarted"}
    assert (result.status, result.actor) == ("aborted", "anna")
    assert result.reason == "aborted by anna: wrong build"
    assert bench.probe.count("rollback") == []


async def test_an_abort_with_rollback_undoes_everything_that_started(bench):
    handle = await in_the_middle(bench)
    await handle.signal(names.ABORT, AbortRequest(actor="anna", rollback=True))
    result = await bench.end_of(handle)
    assert bench.probe.count("rollback", "one") == ["a", "b"]
    assert [server.rolled_back for server in result.results] == [True, True, False]
    assert result.rollback_failed == 0


async def test_temporals_cancel_is_an_abort_without_rollback(bench):
    handle = await in_the_middle(bench)
    await handle.cancel()
    result = await bench.end_of(handle)
    assert statuses(result) == {"a": "succeeded", "b": "cancelled", "c": "notStarted"}
    assert result.actor == "temporal"
    assert bench.probe.count("rollback") == []


async def test_a_second_abort_changes_nothing(bench):
    handle = await in_the_middle(bench)
    await handle.execute_update(names.ABORT, AbortRequest(actor="anna"))
    assert (
        await handle.execute_update(names.ABORT, AbortRequest(actor="ben"), result_type=str)
        == "already aborted"
    )
    assert (await bench.end_of(handle)).actor == "anna"


async def test_a_step_that_cleans_up_for_longer_than_a_heartbeat_is_cancelled_not_failed(
    bench, tmp_path
):
    await bench.start_servers("a")
    trapped = tmp_path / "trapped"
    text = f"trap 'sleep 5; exit 0' TERM; touch {trapped}; while :; do sleep 0.1; done"
    script = {"inline": text}
    step = {"name": "slow", "type": "script", "params": {**script, "killGrace": "20s"}}
    probe = {"name": "one", "type": "probe"}
    handle = await bench.start({"servers": ["a"], "steps": [probe, step], "heartbeatTimeout": 3})
    await bench.until(lambda: bench.probe.count("execute", "one") == ["a"])
    # The trap has to be set before it can be sprung.
    await bench.until_progress(handle, lambda _seen: trapped.exists())
    await handle.execute_update(names.ABORT, AbortRequest(actor="anna"))
    result = await bench.end_of(handle)
    assert statuses(result) == {"a": "cancelled"}
    assert not result.results[0].rolled_back


async def test_an_abort_with_rollback_while_it_rolls_back_undoes_the_rest_as_well(bench):
    await bench.start_servers("a", "b")
    plan = plan_of("ab", ROLLING)
    plan["steps"][1]["params"] = {"failAfterHold": ["b"], "holdRollback": ["b"]}
    bench.probe.held.set()
    handle = await bench.start({**plan, "rolloutStrategy": {**ROLLING, "onStop": "drain"}})
    await bench.until(lambda: ("rollback", "two", "b") in bench.probe.ledger)
    await handle.execute_update(names.ABORT, AbortRequest(actor="anna", rollback=True))
    bench.probe.released.set()
    result = await bench.end_of(handle)
    assert statuses(result) == {"a": "succeeded", "b": "failed"}
    assert all(server.rolled_back for server in result.results)


async def test_a_plain_signal_without_arguments_aborts(bench):
    handle = await in_the_middle(bench)
    await handle.signal(names.ABORT)
    assert (await bench.end_of(handle)).status == "aborted"
