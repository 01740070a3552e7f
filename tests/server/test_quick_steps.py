"""Steps that are done in milliseconds run as local activities: fewer events, the same promises."""

import asyncio
from dataclasses import replace

import pytest
from temporalio.testing import ActivityEnvironment

from kitsune import names
from kitsune.activities.wanted import Wanted
from kitsune.errors import NotWanted
from support.bench import plan_of, statuses

pytestmark = pytest.mark.server


@pytest.fixture
async def quick(bench):
    bench.probe.quick = True
    await bench.start_servers("a")
    return bench


async def events_of(bench, name):
    child = bench.client.get_workflow_handle(names.server_execution_id(bench.id_of(name)))
    return [
        event.WhichOneof("attributes").removesuffix("_event_attributes")
        async for event in child.fetch_history_events()
    ]


async def test_quick_steps_cost_one_event_each(quick):
    result = await quick.run(plan_of("a"))

    assert statuses(result) == {"a": "succeeded"}
    steps = result.results[0].steps_executed
    assert [(step.name, step.outputs) for step in steps] == [
        ("one", {"attempt": 1}),
        ("two", {"attempt": 1}),
    ]
    assert await events_of(quick, "a") == [
        "workflow_execution_started",
        "workflow_task_scheduled",
        "workflow_task_started",
        "workflow_task_completed",
        "marker_recorded",
        "marker_recorded",
        "workflow_execution_completed",
    ]


async def test_a_quick_step_that_fails_is_undone(quick):
    result = await quick.run(plan_of("a", fail="a"))

    assert statuses(result) == {"a": "failed"}
    assert result.results[0].error == "step 'two': told to fail on a"
    assert result.results[0].rolled_back
    assert quick.probe.ledger == [
        ("execute", "one", "a"),
        ("execute", "two", "a"),
        ("rollback", "two", "a"),
        ("rollback", "one", "a"),
    ]


async def test_a_quick_step_is_executed_as_often_as_the_plan_says(quick):
    plan = plan_of("a", fail="a")
    plan["steps"][1]["params"]["failTimes"] = 2
    plan["retryPolicy"] = {"initialInterval": "1s", "maximumAttempts": 3}

    result = await quick.run(plan)

    assert statuses(result) == {"a": "succeeded"}
    assert result.results[0].steps_executed[1].executions == 3
    assert "timer_fired" in await events_of(quick, "a")  # no workflow task waits for the second try


async def test_an_abort_reaches_a_server_in_the_middle_of_many_quick_steps(quick):
    plan = plan_of("a", hold="a")
    plan["steps"] += [{"name": f"more-{n}", "type": "probe", "params": {}} for n in range(20)]
    handle = await quick.start(plan)
    await quick.until(lambda: quick.probe.count("execute", "two") == ["a"])

    await handle.execute_update(names.ABORT, {"actor": "anna"})
    await until_cancelled(quick, "a")
    quick.probe.released.set()
    result = await quick.end_of(handle)

    assert statuses(result) == {"a": "cancelled"}
    assert len(quick.probe.ledger) <= 8


async def test_an_abort_in_the_middle_of_an_undo_of_quick_steps_cuts_nothing_short(quick):
    plan = plan_of("a", fail="a")
    plan["steps"][1]["params"]["holdRollback"] = ["a"]
    handle = await quick.start(plan)
    await quick.until(lambda: quick.probe.count("rollback", "two") == ["a"])

    await handle.execute_update(names.ABORT, {"actor": "anna"})
    await until_cancelled(quick, "a")
    quick.probe.released.set()
    async with asyncio.timeout(30):
        result = await quick.end_of(handle)

    assert statuses(result) == {"a": "failed"}
    assert result.results[0].rolled_back
    assert quick.probe.count("rollback", "one") == ["a"]


async def test_what_quick_steps_did_is_known_though_an_abort_came_before_their_task_had_ended(
    quick,
):
    handle = await quick.start(plan_of("a", hold="a"))
    await quick.until(lambda: quick.probe.count("execute", "two") == ["a"])
    await handle.execute_update(names.ABORT, {"actor": "anna"})
    await until_cancelled(quick, "a")
    quick.probe.released.set()
    result = await quick.end_of(handle)

    # Temporal does not take the end of a workflow that it has news for: its last task is done once more.
    assert (await events_of(quick, "a")).count("workflow_task_failed") == 1
    assert statuses(result) == {"a": "succeeded"}
    assert [step.success for step in result.results[0].steps_executed] == [True, True]
    assert quick.probe.ledger == [("execute", "one", "a"), ("execute", "two", "a")]


async def until_cancelled(bench, name):
    child = bench.client.get_workflow_handle(names.server_execution_id(bench.id_of(name)))
    async with asyncio.timeout(30):
        while not (await child.describe()).raw_description.workflow_extended_info.cancel_requested:
            await asyncio.sleep(0.05)


async def test_a_later_rollback_undoes_quick_steps(quick):
    handle = await quick.start(plan_of("a"))
    await quick.end_of(handle)
    undone = {
        "rolloutId": handle.id,
        "runId": handle.first_execution_run_id,
        "begun": {quick.id_of("a"): 2},
    }

    result = await quick.run({**plan_of("a"), "rollbackOf": undone})

    assert result.results[0].rolled_back
    assert quick.probe.count("rollback") == ["a", "a"]


async def test_a_quick_step_of_a_workflow_that_is_over_is_not_begun(quick):
    handle = await quick.start(plan_of("a", hold="a"))
    await quick.until(lambda: quick.probe.count("execute", "two") == ["a"])
    child = quick.client.get_workflow_handle(names.server_execution_id(quick.id_of("a")))
    run_id = (await child.describe()).run_id
    environment = ActivityEnvironment(client=quick.client)
    environment.info = replace(
        environment.info, is_local=True, workflow_id=child.id, workflow_run_id=run_id
    )

    await environment.run(Wanted().confirm)
    await child.cancel()
    with pytest.raises(NotWanted, match="cancelled before"):
        await environment.run(Wanted().confirm)
    quick.probe.released.set()
    await quick.end_of(handle)
    with pytest.raises(NotWanted, match="too late"):
        await environment.run(Wanted().confirm)
