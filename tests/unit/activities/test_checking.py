"""Whatever goes wrong while a step is checked is an answer, and never a good one."""

import asyncio
from datetime import timedelta
from typing import ClassVar

import pytest

from kitsune.activities.agent import Agent
from kitsune.activities.checking import ServerChecking
from kitsune.errors import StepFailed
from kitsune.handlers.base import StepHandler, StepParams
from kitsune.handlers.registry import HandlerRegistry
from kitsune.models.checks import CheckRequest, CheckResult
from kitsune.models.plan import Plan
from kitsune.rollout.steps import resolve_steps


class Params(StepParams):
    """What the check does."""

    does: str


class Checked(StepHandler[Params]):
    type = "checked"
    params_model = Params
    checkable: ClassVar = "full"

    async def execute(self, params, ctx):
        raise AssertionError("a check executes nothing")

    async def check(self, params, ctx):
        if params.does == "fail":
            raise StepFailed("no room")
        if params.does == "break":
            raise KeyError("oops")
        if params.does == "hang":
            await asyncio.Event().wait()
        return CheckResult.identical()


class Partly(Checked):
    type = "partly"
    checkable: ClassVar = "partial"


class Plain(Checked):
    type = "plain"
    checkable: ClassVar = "none"


@pytest.fixture
async def answer(tmp_path):
    """Check one step and return status and note."""
    registry = HandlerRegistry([Checked(), Partly(), Plain()])
    agent = Agent.at(tmp_path, server_id="a", registry=registry)
    checking = ServerChecking(agent, within=timedelta(seconds=0.05))

    async def ask(step_type, does="nothing", **params):
        raw = {"name": "s", "type": step_type, "params": {"does": does, **params}}
        plan = Plan.model_validate({"servers": ["a"], "steps": [raw]})
        request = CheckRequest(server_id="a", step=resolve_steps(plan)[0])
        result = (await checking.check_step(request)).result
        return result.status.value, result.note

    yield ask
    await agent.journal.close()


async def test_only_a_full_check_can_find_a_server_identical(answer):
    assert await answer("checked") == ("identical", "")
    assert await answer("partly") == ("unknown", "nothing differs, as far as it can be checked")
    assert await answer("plain") == ("unknown", "a step of type plain cannot be checked")


async def test_a_step_that_cannot_succeed_is_said_to_fail(answer):
    assert await answer("checked", "fail") == ("fails", "no room")
    status, note = await answer("nobody")
    assert status == "fails"
    assert "no handler for the step type 'nobody'" in note
    status, note = await answer("checked", odd=1)
    assert (status, "odd" in note) == ("fails", True)


async def test_a_check_that_breaks_or_hangs_knows_nothing(answer):
    assert await answer("checked", "break") == ("unknown", "the check broke: KeyError: 'oops'")
    assert await answer("checked", "hang") == ("unknown", "the check took longer than 0.05s")
