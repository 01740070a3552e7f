"""The content of a large plan travels once to each server, and lies once in the rollout's history."""

import pytest
from temporalio.client import WorkflowFailureError

from kitsune import names
from support.bench import plan_of, statuses

pytestmark = pytest.mark.server
CONTENT = "x" * 900_000


def large_plan(tmp_path, servers, strategy=None, **options):
    plan = plan_of(servers, strategy, **options)
    write = {"path": str(tmp_path / "big"), "content": CONTENT}
    plan["steps"].insert(0, {"name": "write", "type": "file_write", "params": write})
    return plan


async def size_of(handle):
    history = await handle.fetch_history()
    return sum(event.ByteSize() for event in history.events)


async def test_a_large_plan_runs_and_lies_in_the_history_once(bench, tmp_path):
    await bench.start_servers("a", "b", "c", "d")

    result = await bench.run(large_plan(tmp_path, "abcd"))

    assert statuses(result) == dict.fromkeys("abcd", "succeeded")
    assert (tmp_path / "big").read_text() == CONTENT
    # What it was started with, and what is given to its validation.
    assert await size_of(bench.rollouts[-1]) < 3 * len(CONTENT)
    child = bench.client.get_workflow_handle(names.server_execution_id(bench.id_of("a")))
    assert await size_of(child) < 100_000


async def test_a_large_plan_is_undone_as_well(bench, tmp_path):
    await bench.start_servers("a", "b", "c", "d")
    plan = large_plan(tmp_path, "abcd", {"type": "Rolling"}, fail="d")

    result = await bench.run({**plan, "rollback": {"scope": "fleet"}})

    assert statuses(result)["d"] == "failed"
    assert [server.rolled_back for server in result.results] == [True] * 4
    assert not (tmp_path / "big").exists()


async def test_a_step_type_that_servers_lack_is_found_in_a_large_plan_too(bench, tmp_path):
    await bench.start_servers("a", "b", "c", "d")
    plan = large_plan(tmp_path, "abcd")
    plan["steps"].append({"name": "odd", "type": "peculiar", "params": {}})

    with pytest.raises(WorkflowFailureError) as caught:
        await bench.run(plan)

    assert "unknown step type 'peculiar'" in caught.value.cause.message
    assert not (tmp_path / "big").exists()
