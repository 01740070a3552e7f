"""Rollouts that follow another one: later steps only, and undoing what the other one did."""

import pytest
from temporalio.client import WorkflowFailureError

from support.bench import plan_of, statuses

pytestmark = pytest.mark.server


async def test_a_server_can_begin_at_a_later_step_and_undoes_no_earlier_one(bench):
    await bench.start_servers("a", "b")
    plan = {**plan_of("ab", {"type": "Sequential"}, fail="b"), "rollback": {"scope": "fleet"}}
    ids = {bench.id_of("a"): 1, bench.id_of("b"): 1}
    result = await bench.run({**plan, "startAt": ids})
    assert statuses(result) == {"a": "succeeded", "b": "failed"}
    assert bench.probe.count("execute", "one") == []
    assert bench.probe.count("rollback", "one") == []
    assert bench.probe.count("rollback", "two") == ["a", "b"]


def undoing(bench, plan, handle, run_id, **keys):
    return {
        **plan,
        "rollbackOf": {
            "rolloutId": handle.id,
            "runId": run_id,
            "begun": {bench.id_of(name): 2 for name in plan["servers"]},
            **keys,
        },
    }


async def test_a_rollout_is_undone_later_newest_batch_first(bench):
    await bench.start_servers("a", "b")
    plan = plan_of("ab", {"type": "Sequential"})
    first = await bench.start(plan)
    assert (await bench.end_of(first)).success
    result = await bench.run(undoing(bench, plan, first, first.first_execution_run_id))
    assert (result.success, result.rolled_back, result.rollback_of) == (True, 2, first.id)
    assert [entry for entry in bench.probe.ledger if entry[0] == "rollback"] == [
        ("rollback", "two", "b"),
        ("rollback", "one", "b"),
        ("rollback", "two", "a"),
        ("rollback", "one", "a"),
    ]


async def test_an_undo_that_fails_later_is_a_failure_and_needs_a_person(bench):
    await bench.start_servers("a")
    plan = plan_of("a")
    plan["steps"][0]["params"] = {"failRollback": ["a"]}
    first = await bench.start(plan)
    await bench.end_of(first)
    result = await bench.run(undoing(bench, plan, first, first.first_execution_run_id))
    assert statuses(result) == {"a": "failed"}
    assert result.rollback_failed == 1


async def test_a_server_that_is_away_holds_up_no_later_rollback_and_stays_pending(bench):
    await bench.start_servers("a")
    plan = plan_of("ab", {"type": "Sequential"})
    patience = {"unreachable": {"policy": "wait", "timeout": "12s"}}
    first = await bench.start({**plan, "servers": ["a"]})
    await bench.end_of(first)
    undo = undoing(bench, plan, first, first.first_execution_run_id)
    result = await bench.run({**undo, **patience})
    assert statuses(result) == {"a": "succeeded", "b": "unreachable"}
    (a, b) = result.results
    assert (a.rolled_back, b.rollback_pending) == (True, True)
    assert f"kitsune rollback {first.id} --server {b.server_id} --retry" in b.error


async def test_a_plan_that_begins_behind_its_last_step_is_refused(bench):
    problems = await refused(bench, {**plan_of("a"), "startAt": {"other": 0, bench.id_of("a"): 2}})
    assert [problem["path"] for problem in problems] == [
        f"startAt.{bench.id_of('a')}",
        "startAt.other",
    ]


async def refused(bench, plan):
    handle = await bench.start(plan)
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    return caught.value.cause.details[0]["problems"]
