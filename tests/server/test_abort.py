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


async def test_a_plain_signal_without_arguments_aborts(bench):
    handle = await in_the_middle(bench)
    await handle.signal(names.ABORT)
    assert (await bench.end_of(handle)).status == "aborted"
