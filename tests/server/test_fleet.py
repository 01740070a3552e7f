"""The facade on a real Temporal server: starting once, looking, aborting, listing, ends of every kind."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import Runtime, TelemetryConfig

from kitsune import names
from kitsune.errors import Conflict, NotFound, PlanRefused
from kitsune.models.requests import AbortRequest
from kitsune.rollout.limits import MAX_PLAN_BYTES
from kitsune.service.fleet import Fleet, Started
from kitsune.service.ordering import Accepted
from kitsune.service.outcomes import CutShort, Finished, Refused
from kitsune.workers.orchestration import make_orchestration_worker
from support.bench import Bench, plan_of

pytestmark = pytest.mark.server


@pytest.fixture
def fleet(client):
    return Fleet(client)


@pytest.fixture
def plan(bench):
    """A plan on this test's servers."""

    def make(servers, **options):
        raw = plan_of(servers, **options)
        return {**raw, "servers": [bench.id_of(name) for name in raw["servers"]]}

    return make


@pytest.fixture
async def started(bench, fleet):
    """Start a plan through the facade; the bench ends it where the test has not."""

    async def start(plan, rollout_id=None):
        rollout_id = rollout_id or f"{bench.prefix}-fleet"
        began = await fleet.start(plan, rollout_id=rollout_id)
        bench.rollouts.append(bench.client.get_workflow_handle(rollout_id))
        return rollout_id, began

    return start


async def ended(fleet, rollout_id):
    async with asyncio.timeout(30):
        while (await fleet.look(rollout_id)).open:
            await asyncio.sleep(0.05)
    return await fleet.outcome(rollout_id)


async def test_one_id_and_one_plan_are_one_rollout(bench, fleet, plan, started):
    await bench.start_servers("a")
    held = plan("a", hold="a")
    rollout_id, began = await started(held)
    assert began is Started.STARTED
    assert await fleet.start(held, rollout_id=rollout_id) is Started.ALREADY_RUNNING
    bench.probe.released.set()
    assert isinstance(await ended(fleet, rollout_id), Finished)
    assert await fleet.start(held, rollout_id=rollout_id) is Started.ALREADY_FINISHED
    assert bench.probe.count("execute", "two") == ["a"]


async def test_another_plan_under_a_taken_id_is_a_conflict(fleet, plan, started):
    rollout_id, _ = await started(plan("a"))
    with pytest.raises(Conflict, match="belongs to another plan"):
        await fleet.start(plan("b"), rollout_id=rollout_id)


async def test_a_plan_that_temporal_would_not_take_is_refused_before_it_is_sent(fleet, plan):
    with pytest.raises(PlanRefused, match="bytes as JSON"):
        await fleet.start({**plan("a"), "name": "x" * MAX_PLAN_BYTES}, rollout_id="too-large")
    with pytest.raises(NotFound):
        await fleet.find("too-large")


async def test_a_look_shows_every_server_and_the_step_it_is_at(bench, fleet, plan, started):
    await bench.start_servers("a", "b")
    rollout_id, _ = await started(plan("ab", hold="ab"))
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a", "b"])
    look = await fleet.look(rollout_id)
    assert look.open
    assert look.progress is not None
    assert [server.state for server in look.progress.servers] == ["running", "running"]
    steps = await fleet.running_steps(rollout_id, [bench.id_of("a"), "nobody"])
    assert {name: step.step for name, step in steps.items()} == {
        bench.id_of("a"): "2/2 two (probe)"
    }
    assert await fleet.running_steps("another-rollout", [bench.id_of("a")]) == {}


async def test_an_abort_is_taken_up_once_and_refused_after_the_end(bench, fleet, plan, started):
    await bench.start_servers("a")
    rollout_id, _ = await started(plan("a", hold="a"))
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a"])
    request = AbortRequest(actor="anna", reason="wrong build", rollback=True)
    assert await fleet.abort(rollout_id, request) is Accepted.DONE
    outcome = await ended(fleet, rollout_id)
    assert isinstance(outcome, Finished)
    assert outcome.result.actor == "anna"
    assert outcome.result.rolled_back == 1
    with pytest.raises(Conflict, match="already ended"):
        await fleet.abort(rollout_id, request)


async def test_without_an_orchestrator_looks_and_aborts_wait_for_one(client, fleet, tmp_path):
    bench = Bench(client, tmp_path)  # no orchestration worker
    rollout_id = f"{bench.prefix}-fleet"
    plan = plan_of([])
    await fleet.start({**plan, "servers": [bench.id_of("a")]}, rollout_id=rollout_id)
    look = await fleet.look(rollout_id)
    assert look.open
    assert look.progress is None
    assert await fleet.abort(rollout_id, AbortRequest(actor="anna")) is Accepted.ON_RECORD
    async with make_orchestration_worker(client, bench.registry):
        outcome = await ended(fleet, rollout_id)
    assert isinstance(outcome, Finished)
    assert outcome.result.status == "aborted"
    await bench.close()


async def test_a_refused_plan_ends_with_its_problems(fleet, started):
    rollout_id, _ = await started({"servers": [], "stepz": []})
    outcome = await ended(fleet, rollout_id)
    assert isinstance(outcome, Refused)
    assert {problem.path for problem in outcome.problems} >= {"servers", "steps", "stepz"}
    assert (await fleet.find(rollout_id)).state == "refused"


async def test_a_terminated_rollout_is_cut_short_and_says_why(bench, fleet, plan, started):
    await bench.start_servers("a")
    rollout_id, _ = await started(plan("a", hold="a"))
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a"])
    await bench.client.get_workflow_handle(rollout_id).terminate(reason="fat finger")
    outcome = await ended(fleet, rollout_id)
    assert outcome == CutShort(state="terminated", message="terminated in Temporal: fat finger")
    last = await fleet.last_progress(rollout_id)
    assert last is not None
    assert last.total == 1
    assert (await fleet.find(rollout_id)).state == "terminated"


async def test_a_list_tells_names_states_and_counts(bench, fleet, plan, started):
    await bench.start_servers("a", "b")
    rollout_id, _ = await started({**plan("ab", fail="b"), "name": "listed"})
    await ended(fleet, rollout_id)
    async with asyncio.timeout(30):  # the list is a little behind
        while True:
            rows = await fleet.rollouts(query=f"WorkflowId = '{rollout_id}'")
            if rows and not rows[0].open:
                break
            await asyncio.sleep(0.05)
    (row,) = rows
    assert (row.name, row.state, row.total) == ("listed", "stopped", 2)
    assert row.counts == {"succeeded": 1, "failed": 1}
    assert row.ended_at is not None


async def test_what_is_no_rollout_is_not_found(bench, fleet, plan, started):
    with pytest.raises(NotFound, match="no rollout 'nobody-ever-started-this' at"):
        await fleet.look("nobody-ever-started-this")
    await bench.start_servers("a")
    await started(plan("a", hold="a"))
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a"])
    with pytest.raises(NotFound, match=names.SERVER_EXECUTION_WORKFLOW):
        await fleet.find(names.server_execution_id(bench.id_of("a")))


async def test_workers_are_listed_by_server(temporal_server, tmp_path):
    runtime = Runtime(
        telemetry=TelemetryConfig(logging=None), worker_heartbeat_interval=timedelta(seconds=1)
    )
    client = await Client.connect(
        temporal_server.address, data_converter=pydantic_data_converter, runtime=runtime
    )
    bench, fleet = Bench(client, tmp_path), Fleet(client)
    await bench.start_orchestrator()
    await bench.start_servers("a")
    async with asyncio.timeout(30):
        while True:
            rows = await fleet.servers(now=datetime.now(UTC))
            found = {row.queue: row.state for row in rows.servers}
            if bench.id_of("a") in found and rows.orchestrators:
                break
            await asyncio.sleep(0.1)
    assert found[bench.id_of("a")] == "online"
    assert names.ORCHESTRATOR_QUEUE not in found
    await bench.close()
