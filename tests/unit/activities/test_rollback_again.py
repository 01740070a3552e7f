"""A rollback that an operator asks for again: once more where it failed, never where it succeeded."""

from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from kitsune.activities.agent import Agent
from kitsune.activities.server import ServerActivities
from kitsune.errors import StepFailed
from kitsune.handlers.base import StepHandler, StepParams
from kitsune.handlers.registry import HandlerRegistry
from kitsune.models.requests import ResolvedStep, StepRequest


class Counting(StepHandler[StepParams]):
    type = "counting"
    params_model = StepParams
    reversible = "full"

    def __init__(self):
        self.rollbacks, self.failing, self.told = 0, True, None

    async def execute(self, params, ctx):
        return {}

    async def rollback(self, params, undo, ctx):
        self.rollbacks += 1
        self.told = ctx.refuse_conflicts
        if self.failing:
            raise StepFailed("not now", permanent=True)


@pytest.fixture
def handler():
    return Counting()


@pytest.fixture
async def activities(tmp_path, handler):
    agent = Agent.at(tmp_path, server_id="web-1", registry=HandlerRegistry([handler]))
    yield ServerActivities(agent, None)
    await agent.journal.close()


def request(**more):
    step = ResolvedStep(index=0, name="s", type="counting", timeout=timedelta(minutes=1))
    return StepRequest(rollout_id="r", run_id="run", server_id="web-1", step=step, **more)


async def roll_back(activities, **more):
    return await ActivityEnvironment().run(activities.rollback_step, request(**more))


async def test_a_failed_rollback_runs_again_only_under_a_new_generation(activities, handler):
    await ActivityEnvironment().run(activities.execute_step, request())
    with pytest.raises(ApplicationError, match="not now"):
        await roll_back(activities)
    handler.failing = False
    with pytest.raises(ApplicationError, match="not now"):
        await roll_back(activities)
    assert handler.rollbacks == 1
    assert (await roll_back(activities, rollback_generation=1)).undone == "rolledBack"
    assert handler.rollbacks == 2


async def test_a_rollback_that_has_succeeded_never_runs_again(activities, handler):
    await ActivityEnvironment().run(activities.execute_step, request())
    handler.failing = False
    await roll_back(activities)
    assert (await roll_back(activities, rollback_generation=3)).undone == "rolledBack"
    assert handler.rollbacks == 1


@pytest.mark.parametrize("refuse", [True, False])
async def test_the_handler_is_told_whether_conflicts_are_refused(activities, handler, refuse):
    handler.failing = False
    await ActivityEnvironment().run(activities.execute_step, request())
    await roll_back(activities, refuse_conflicts=refuse)
    assert handler.told is refuse
