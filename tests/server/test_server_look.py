"""What a rollout did on one server, step by step, read from a real Temporal."""

import asyncio

import pytest

from kitsune.models.results import ServerStatus
from kitsune.service.fleet import Fleet
from support.bench import plan_of

pytestmark = pytest.mark.server


@pytest.fixture
def fleet(client):
    return Fleet(client)


async def until_seen(fleet, rollout_id, server_id, condition):
    async with asyncio.timeout(30):
        while True:
            look = await fleet.server_look(rollout_id, server_id)
            if look and condition(look):
                return look
            await asyncio.sleep(0.05)


def scripts(*lines):
    return {
        "servers": ["a"],
        "steps": [
            {
                "name": f"step {n}",
                "type": "script",
                "params": {"inline": line, "rollbackInline": "true"},
            }
            for n, line in enumerate(lines, 1)
        ],
    }


async def test_a_step_at_work_is_seen_with_its_last_lines_and_those_before_it_with_their_ends(
    bench, fleet, tmp_path
):
    await bench.start_servers("a")
    go_on = tmp_path / "go-on"
    wait = f"echo waiting; until [ -e {go_on} ]; do sleep 0.05; done; exit 3"
    handle = await bench.start(scripts("echo first", wait))
    server = bench.id_of("a")
    look = await until_seen(
        fleet, handle.id, server, lambda seen: seen.at_work and seen.at_work.said
    )
    assert [(step.name, step.success) for step in look.steps] == [("step 1", True)]
    assert look.steps[0].outputs["stdout"]["text"] == "first\n"
    assert (look.at_work.name, look.at_work.index, look.at_work.undoing) == ("step 2", 1, False)
    assert look.at_work.said == {"stdout": "waiting"}
    assert look.result is None
    go_on.touch()
    await bench.end_of(handle)
    ended = await fleet.server_look(handle.id, server)
    assert ended.result.status is ServerStatus.FAILED
    assert [step.undone for step in ended.steps] == ["rolledBack", "rolledBack"]


async def test_quick_steps_that_have_ended_are_seen_while_the_next_one_runs(bench, fleet, tmp_path):
    bench.probe.quick = True
    await bench.start_servers("a")
    go_on = tmp_path / "go-on"
    plan = scripts(f"until [ -e {go_on} ]; do sleep 0.05; done")
    plan["steps"] = [*plan_of("a")["steps"], *plan["steps"]]
    handle = await bench.start(plan)
    server = bench.id_of("a")
    look = await until_seen(fleet, handle.id, server, lambda seen: seen.at_work)
    assert [(step.name, step.success) for step in look.steps] == [("one", True), ("two", True)]
    assert look.at_work.index == 2
    go_on.touch()
    assert (await bench.end_of(handle)).success


async def test_an_earlier_rollout_on_the_same_server_is_found_too(bench, fleet):
    await bench.start_servers("a")
    first = await bench.start(plan_of("a"))
    await bench.end_of(first)
    second = await bench.start(plan_of("a", fail="a"))
    await bench.end_of(second)
    server = bench.id_of("a")
    assert (await fleet.server_look(second.id, server)).result.status is ServerStatus.FAILED
    # Temporal lists an execution a moment after it has ended.
    earlier = await until_seen(fleet, first.id, server, lambda seen: seen.result)
    assert earlier.result.status is ServerStatus.SUCCEEDED


async def test_where_nothing_began_nothing_is_known(bench, fleet):
    assert await fleet.server_look("no-rollout", bench.id_of("never")) is None
