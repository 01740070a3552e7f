import asyncio
import math
from datetime import timedelta

import pytest
from pydantic import Field

from kitsune.errors import PlanRefused, StepFailed
from kitsune.handlers.base import StepHandler, StepParams
from kitsune.handlers.echo import EchoHandler
from kitsune.testing import HandlerBench


class NoteParams(StepParams):
    """Params of the handler that these tests run."""

    value_here: int = Field(ge=0)


class NoteHandler(StepHandler[NoteParams]):
    """Does what a test tells it to, and notes what it was told."""

    type = "note"
    params_model = NoteParams

    def __init__(self):
        self.contexts, self.undone = [], []
        self.work = self.nothing

    async def nothing(self, _ctx):
        return {}

    async def execute(self, params, ctx):
        self.contexts.append(ctx)
        return {"value": params.value_here} | (await self.work(ctx))

    async def rollback(self, params, undo, ctx):
        self.contexts.append(ctx)
        self.undone.append((params.value_here, undo))


@pytest.fixture
def handler():
    return NoteHandler()


@pytest.fixture
def bench(handler, tmp_path):
    return HandlerBench(handler, state=tmp_path / "state", step_name="note it")


async def test_params_are_checked_as_a_plan_is(bench, handler):
    with pytest.raises(PlanRefused) as refusal:
        await bench.execute({"valueHere": -1, "valeu": 2})
    assert [problem.path for problem in refusal.value.problems] == ["params.valueHere", "params.valeu"]  # fmt: skip
    with pytest.raises(PlanRefused):
        await bench.execute({"value_here": 1})  # a plan has camelCase keys only
    assert handler.contexts == []
    assert bench.attempt == 0


async def test_a_handler_is_told_what_an_agent_tells_it(bench, handler, tmp_path):
    assert await bench.execute({"valueHere": 1}, timeout="2m") == {"value": 1}
    (ctx,) = handler.contexts
    assert (ctx.rollout_id, ctx.server_id, ctx.step_name) == ("rollout-1", "server-1", "note it")
    assert (ctx.attempt, ctx.timeout) == (1, timedelta(minutes=2))
    assert ctx.spool.is_dir()
    assert ctx.spool.is_relative_to(tmp_path)


async def test_executing_again_is_the_next_attempt_of_the_same_operation(bench, handler):
    async def keep(ctx):
        await ctx.undo.keep({"attempt": ctx.attempt})
        return {}

    handler.work = keep
    await bench.execute({"valueHere": 1})
    await bench.execute({"valueHere": 1})
    first, second = handler.contexts
    assert (first.attempt, second.attempt, bench.attempt) == (1, 2, 2)
    assert first.operation_id == second.operation_id == bench.operation_id
    assert bench.undo.facts == {"attempt": 1}


async def test_a_rollback_gets_what_the_execution_kept_and_an_operation_of_its_own(bench, handler):
    async def keep(ctx):
        await ctx.undo.keep({"old": 1})
        raise StepFailed("half-way")

    handler.work = keep
    with pytest.raises(StepFailed, match="half-way"):
        await bench.execute({"valueHere": 7})
    await bench.rollback()
    assert handler.undone == [(7, bench.undo)]
    executed, undone = handler.contexts
    assert executed.operation_id != undone.operation_id
    assert executed.spool != undone.spool


async def test_a_rollback_without_a_record_gets_none(bench, handler):
    await bench.execute({"valueHere": 1})
    await bench.rollback()
    assert handler.undone == [(1, None)]


async def test_a_rollback_of_nothing_is_a_mistake_in_the_test(bench):
    with pytest.raises(RuntimeError, match="nothing was executed"):
        await bench.rollback()


async def test_what_a_handler_says_can_be_looked_at(bench, handler, caplog):
    async def talk(ctx):
        ctx.log.info("step %d", 1)
        ctx.log.debug("details")
        ctx.report({"percent": 50})
        await ctx.record_process(123)
        return {}

    handler.work = talk
    await bench.execute({"valueHere": 1})
    assert bench.log_lines == ["step 1", "details"]
    assert bench.reports == [{"percent": 50}]
    assert bench.processes == [123]
    assert caplog.records == []


async def test_a_handler_that_takes_too_long_is_cancelled_and_may_clean_up(bench, handler):
    cleaned = []

    async def wait(_ctx):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append("yes")

    handler.work = wait
    with pytest.raises(StepFailed, match=r"timed out after 0\.01s"):
        await bench.execute({"valueHere": 1}, timeout=0.01)
    assert cleaned == ["yes"]


async def test_a_cancelled_execution_cancels_the_handler_and_waits_for_it(bench, handler):
    begun, cleaned = asyncio.Event(), []

    async def wait(_ctx):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append("yes")

    handler.work = wait
    running = asyncio.create_task(bench.execute({"valueHere": 1}))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert cleaned == ["yes"]


async def test_an_error_of_the_handler_comes_out_as_it_is(bench, handler):
    async def fail(_ctx):
        raise ZeroDivisionError

    handler.work = fail
    with pytest.raises(ZeroDivisionError):
        await bench.execute({"valueHere": 1})


@pytest.mark.parametrize("output", [object(), math.nan, b"bytes"])
async def test_outputs_that_are_no_json_are_found_here_and_not_in_production(
    bench, handler, output
):
    async def give(_ctx):
        return {"it": output}

    handler.work = give
    with pytest.raises((TypeError, ValueError)):
        await bench.execute({"valueHere": 1})


async def test_benches_of_other_steps_share_a_state_folder_and_no_record(handler, tmp_path):
    async def keep(ctx):
        await ctx.undo.keep({"step": ctx.step_name})
        return {}

    handler.work = keep
    one = HandlerBench(handler, state=tmp_path, step_name="one")
    two = HandlerBench(handler, state=tmp_path, step_name="two")
    await one.execute({"valueHere": 1})
    await two.execute({"valueHere": 1})
    assert (one.undo.facts, two.undo.facts) == ({"step": "one"}, {"step": "two"})
    same = HandlerBench(handler, state=tmp_path, step_name="one")
    assert same.undo == one.undo


async def test_a_handler_that_uses_no_folder_gets_none(tmp_path):
    await HandlerBench(EchoHandler(), state=tmp_path).execute({"message": "no folder is needed"})
    assert not (tmp_path / "operations").exists()
