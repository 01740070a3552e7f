"""What happens on one server: required, continueOnFailure, retries, rollback, what the result says."""

import pytest

from support.bench import plan_of, statuses

pytestmark = pytest.mark.server


def step(name, **keys):
    params = {key: keys.pop(key) for key in ("fail", "fail_times", "fail_rollback") if key in keys}
    names = {"fail_times": "failTimes", "fail_rollback": "failRollback"}
    return {
        "name": name,
        "type": "probe",
        "params": {names.get(key, key): value for key, value in params.items()},
        **keys,
    }


@pytest.mark.parametrize(
    ("keys", "stops"),
    [
        ({}, True),
        ({"required": True}, True),
        ({"required": False}, False),
        ({"required": True, "continueOnFailure": True}, False),
        ({"required": False, "continueOnFailure": True}, False),
    ],
)
async def test_a_failed_step_stops_the_server_unless_it_may_go_on(bench, keys, stops):
    await bench.start_servers("a")
    result = await bench.run(
        {"servers": ["a"], "steps": [step("one"), step("two", fail=["a"], **keys), step("three")]}
    )
    assert statuses(result) == {"a": "failed" if stops else "succeeded"}
    assert bench.probe.count("execute", "three") == ([] if stops else ["a"])
    outcomes = result.results[0].steps_executed
    assert [outcome.success for outcome in outcomes] == [True, False] + ([] if stops else [True])
    assert outcomes[1].error == "told to fail on a"
    assert outcomes[1].outputs == {"seen": "a"}


async def test_steps_are_undone_newest_first(bench):
    await bench.start_servers("a")
    await bench.run(
        {"servers": ["a"], "steps": [step("one"), step("two"), step("three", fail=["a"])]}
    )
    assert [name for what, name, _ in bench.probe.ledger if what == "rollback"] == [
        "three",
        "two",
        "one",
    ]


async def test_one_undo_that_fails_does_not_stop_the_others(bench):
    await bench.start_servers("a")
    result = await bench.run(
        {
            "servers": ["a"],
            "steps": [step("one"), step("two", fail_rollback=["a"]), step("three", fail=["a"])],
            "retryPolicy": {"initialInterval": 0.05},
        }
    )
    server = result.results[0]
    assert (server.rolled_back, server.rollback_failed) == (False, True)
    assert [outcome.undone for outcome in server.steps_executed] == [
        "rolledBack",
        "rollbackFailed",
        "rolledBack",
    ]
    assert server.steps_executed[1].undo_error == "told to fail the rollback"
    assert result.rollback_failed == 1


async def test_executions_are_repeated_with_back_off_as_often_as_the_plan_says(bench):
    await bench.start_servers("a")
    result = await bench.run(
        {
            "servers": ["a"],
            "steps": [
                step(
                    "one",
                    fail=["a"],
                    fail_times=2,
                    retryPolicy={"maximumAttempts": 3, "initialInterval": "50ms"},
                )
            ],
        }
    )
    assert result.success
    outcome = result.results[0].steps_executed[0]
    assert (outcome.executions, outcome.outputs) == (3, {"attempt": 3})


async def test_scope_none_undoes_nothing(bench):
    await bench.start_servers("a")
    result = await bench.run({**plan_of("a", fail="a"), "rollback": {"scope": "none"}})
    assert bench.probe.count("rollback") == []
    assert not result.results[0].rolled_back


async def test_scope_fleet_undoes_servers_that_had_succeeded_newest_batch_first(bench):
    await bench.start_servers("a", "b", "c")
    result = await bench.run(
        {**plan_of("abc", {"type": "Sequential"}, fail="c"), "rollback": {"scope": "fleet"}}
    )
    assert statuses(result) == {"a": "succeeded", "b": "succeeded", "c": "failed"}
    assert all(server.rolled_back for server in result.results)
    undone = [
        server for what, name, server in bench.probe.ledger if (what, name) == ("rollback", "one")
    ]
    assert undone == ["c", "b", "a"]
    assert (result.servers_patched, result.rolled_back) == (0, 3)


async def test_a_sleep_is_a_timer_of_the_workflow(bench):
    await bench.start_servers("a")
    result = await bench.run(
        {
            "servers": ["a"],
            "steps": [{"name": "wait", "type": "sleep", "params": {"duration": "100ms"}}],
        }
    )
    assert result.results[0].steps_executed[0].outputs == {"slept": 0.1}


async def test_temporals_page_shows_names(bench, client):
    await bench.start_servers("a")
    handle = await bench.start({**plan_of("a"), "name": "web 2.14"})
    await bench.end_of(handle)
    history = await handle.fetch_history()
    said = [event.user_metadata.summary.data.decode() for event in history.events]
    assert f'"run web 2.14 on {bench.id_of("a")}"' in said
    details = await client.get_workflow_handle(handle.id).query("__temporal_workflow_metadata")
    assert "web 2.14: succeeded (1 succeeded of 1)" in str(details)
