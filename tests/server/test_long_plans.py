"""A server's workflow goes on in a new run where its history gets long, and nobody notices."""

import pytest
from temporalio.client import WorkflowExecutionStatus

from kitsune import names
from kitsune.embedded.server import EmbeddedServer
from support.bench import Bench, connect, plan_of, statuses

pytestmark = pytest.mark.server

STEPS = 14


@pytest.fixture
async def bench(tmp_path):
    settings = {"limit.historyCount.suggestContinueAsNew": 30}
    async with EmbeddedServer(settings=settings) as server:
        bench = Bench(await connect(server.address), tmp_path)
        await bench.start_orchestrator()
        await bench.start_servers("a")
        yield bench
        await bench.close()


def long_plan(**last):
    plan = plan_of("a")
    plan["steps"] = [
        {"name": f"step-{number}", "type": "probe", "params": {}} for number in range(STEPS - 1)
    ] + [{"name": "last", "type": "probe", "params": last}]
    return plan


async def runs_of(bench, name):
    """Return how each run of a server's workflow ended, oldest first."""
    found = bench.client.list_workflows(
        f"WorkflowId = '{names.server_execution_id(bench.id_of(name))}'"
    )
    runs = [(each.start_time, each.status) async for each in found]
    return [status for _, status in sorted(runs)]


async def test_a_plan_with_many_steps_runs_each_once_over_several_runs(bench):
    result = await bench.run(long_plan())

    (server,) = result.results
    assert statuses(result) == {"a": "succeeded"}
    assert [step.index for step in server.steps_executed] == list(range(STEPS))
    assert [step for _, step, _ in bench.probe.ledger] == [
        step.name for step in server.steps_executed
    ]
    assert server.steps_executed[0].outputs == {"attempt": 1}
    child = bench.client.get_workflow_handle(names.server_execution_id(bench.id_of("a")))
    description = await child.describe()
    assert description.parent_id == bench.rollouts[-1].id
    assert WorkflowExecutionStatus.CONTINUED_AS_NEW in await runs_of(bench, "a")


async def test_steps_of_earlier_runs_are_undone_as_well(bench):
    result = await bench.run(long_plan(fail=["a"]))

    assert statuses(result) == {"a": "failed"}
    assert result.results[0].rolled_back
    undone = [step for kind, step, _ in bench.probe.ledger if kind == "rollback"]
    assert undone == ["last", *(f"step-{number}" for number in reversed(range(STEPS - 1)))]
