"""State that was lost, workers that lie, people who reach into Temporal: the answer stays honest, and comes."""

import shutil

import pytest
from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from kitsune import names
from support.bench import plan_of, statuses

pytestmark = pytest.mark.server

FLEET = {"rollback": {"scope": "fleet"}, "rolloutStrategy": {"type": "Sequential"}}


def writing(path, **probe):
    """Return a plan that writes a file on a, then fails on b."""
    write = {"path": str(path), "content": "new"}
    return {
        **FLEET,
        "servers": ["a", "b"],
        "steps": [
            {"name": "write", "type": "file_write", "params": write},
            {
                "name": "probe",
                "type": "probe",
                "params": {"hold": ["b"], "failAfterHold": [], **probe},
            },
        ],
    }


async def held_at_b(bench, tmp_path):
    """Return a rollout that has done a and holds b, which will fail once it is let go."""
    await bench.start_servers("a", "b")
    bench.probe.fail_when_released = True
    handle = await bench.start(writing(tmp_path / "file"))
    await bench.until(lambda: bench.probe.count("execute", "probe") == ["a", "b"])
    return handle


async def test_an_undo_record_that_is_gone_is_a_rollback_that_failed(bench, tmp_path):
    (tmp_path / "file").write_text("old")
    handle = await held_at_b(bench, tmp_path)
    shutil.rmtree(tmp_path / "a" / "undo")
    bench.probe.released.set()
    result = await bench.end_of(handle)
    (a, _) = result.results
    assert (a.rolled_back, a.rollback_failed) == (False, True)
    assert "the undo record that this step kept is gone" in a.error


async def test_a_lost_journal_is_a_rollback_that_failed(bench, tmp_path):
    handle = await held_at_b(bench, tmp_path)
    for file in (tmp_path / "a").glob("journal.sqlite*"):
        file.unlink()
    bench.probe.released.set()
    result = await bench.end_of(handle)
    assert result.results[0].rollback_failed
    assert result.rollback_failed == 1


async def test_a_server_that_somebody_cancelled_has_failed_and_is_undone(bench, client):
    await bench.start_servers("a", "b")
    handle = await bench.start(plan_of("ab", {"type": "Sequential"}, hold="a"))
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a"])
    await client.get_workflow_handle(names.server_execution_id(bench.id_of("a"))).cancel()
    result = await bench.end_of(handle)
    assert statuses(result) == {"a": "failed", "b": "notStarted"}
    assert "was cancelled, not by this rollout" in result.results[0].error
    assert result.results[0].rolled_back


@pytest.mark.parametrize("argument", ["stop it", ["x"], 7, {"rollback": "maybe", "x": 1}])
async def test_any_abort_is_an_abort(bench, argument):
    await bench.start_servers("a")
    handle = await bench.start(plan_of("a", hold="a"))
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a"])
    await handle.signal(names.ABORT, argument)
    assert statuses(await bench.end_of(handle)) == {"a": "cancelled"}


async def test_an_endless_reason_does_not_wedge_the_rollout(bench):
    await bench.start_servers("a")
    handle = await bench.start(plan_of("a", hold="a"))
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a"])
    await handle.signal(names.ABORT, {"reason": "x" * 1_600_000})
    result = await bench.end_of(handle)
    assert len(result.reason) < 1000


async def test_a_rollout_cannot_take_an_id_that_holds_a_server(bench):
    await bench.start_servers("a")
    with pytest.raises(WorkflowFailureError) as caught:
        await bench.end_of(await bench.start(plan_of("a"), rollout_id=f"exec-{bench.prefix}"))
    assert caught.value.cause.type == names.FAILURE_INVALID_PLAN


@activity.defn(name=names.PREFLIGHT)
async def garbled_preflight(request: dict) -> str:
    return "garbage"


@activity.defn
async def unrelated() -> None:
    pass


@activity.defn(name=names.PREFLIGHT)
async def good_preflight(request: dict) -> dict:
    return {"serverId": request["serverId"], "stepTypes": ["probe"]}


@workflow.defn(name=names.SERVER_EXECUTION_WORKFLOW)
class Garbage:
    @workflow.run
    async def run(self, request: dict) -> str:
        return "garbage"


@workflow.defn(name=names.SERVER_EXECUTION_WORKFLOW)
class GarbledFailure:
    @workflow.run
    async def run(self, request: dict) -> str:
        raise ApplicationError("x", "garbage", type=names.FAILURE_SERVER_FAILED, non_retryable=True)


@workflow.defn(name=names.SERVER_EXECUTION_WORKFLOW)
class Liar:
    @workflow.run
    async def run(self, request: dict) -> dict:
        return {"serverId": "other", "success": True, "status": "failed"}


async def answered_by(bench, client, *, workflows=(), activities=()):
    worker = Worker(
        client,
        task_queue=bench.id_of("x"),
        workflows=list(workflows),
        activities=list(activities),
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        plan = {**plan_of("x"), "unreachable": {"timeout": 2}}
        return await bench.end_of(await bench.start(plan))


@pytest.mark.parametrize("kind", [Garbage, GarbledFailure, Liar])
async def test_a_worker_that_lies_costs_its_own_server_only(bench, client, kind):
    result = await answered_by(bench, client, workflows=[kind], activities=[good_preflight])
    assert statuses(result) == {"x": "unknown"}


async def test_a_garbled_answer_is_no_answer(bench, client):
    result = await answered_by(bench, client, activities=[garbled_preflight])
    assert statuses(result) == {"x": "unreachable"}
    assert "answered nonsense" in result.results[0].error


async def test_a_worker_without_preflight_is_an_older_one_and_is_gone_on_with(bench, client):
    result = await answered_by(bench, client, workflows=[Liar], activities=[unrelated])
    assert "of an older kind" in result.warnings[-1]
    assert statuses(result) == {"x": "unknown"}


async def test_a_worker_that_cannot_run_our_workflow_is_given_up(bench, client):
    result = await answered_by(bench, client, activities=[good_preflight], workflows=[Other])
    assert statuses(result) == {"x": "unreachable"}
    assert "its local worker fails at our workflow" in result.results[0].error


@workflow.defn
class Other:
    @workflow.run
    async def run(self) -> None:
        return None
