"""The activity on a server's own queue that says what a step would change there; it touches nothing."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import activity

from kitsune import names
from kitsune.activities.agent import Agent
from kitsune.errors import HandlerUnusable, StepFailed
from kitsune.handlers.base import CheckContext, StepHandler
from kitsune.handlers.validation import check_params
from kitsune.models.checks import CheckedStep, CheckRequest, CheckResult, CheckStatus
from kitsune.models.durations import format_duration
from kitsune.rollout.bounds import shorten

#: A check that takes longer says nothing.
CHECK_WITHIN = timedelta(seconds=30)
_LONGEST_NOTE = 1900

logger = logging.getLogger("kitsune.agent")


class ServerChecking:
    """Compares one server with steps."""

    def __init__(self, agent: Agent, *, within: timedelta = CHECK_WITHIN) -> None:
        self._agent, self._within = agent, within

    @property
    def all(self) -> list[Callable[..., Any]]:
        """Every activity, for the worker."""
        return [self.check_step]

    @activity.defn(name=names.CHECK_STEP)
    async def check_step(self, request: CheckRequest) -> CheckedStep:
        """Say what a step would change; whatever goes wrong is an answer as well."""
        found = await self._result(request)
        note = shorten(found.note, _LONGEST_NOTE) or ""
        return CheckedStep(
            server_id=self._agent.server_id,
            index=request.step.index,
            result=found.model_copy(update={"note": note}),
        )

    async def _result(self, request: CheckRequest) -> CheckResult:
        step = request.step
        try:
            handler = self._agent.registry.require(step.type)
        except HandlerUnusable as error:
            return _fails(str(error))
        if problems := check_params(step.type, step.params, self._agent.registry, "params"):
            return _fails("; ".join(problem.text for problem in problems))
        if handler.checkable == "none":
            return CheckResult.unknown(f"a step of type {step.type} cannot be checked")
        found = await self._checked(handler, request)
        if handler.checkable == "partial" and found.status is CheckStatus.IDENTICAL:
            return CheckResult.unknown(
                "nothing differs, as far as it can be checked"
                + (f": {found.note}" if found.note else "")
            )
        return found

    async def _checked(self, handler: StepHandler[Any], request: CheckRequest) -> CheckResult:
        step = request.step
        log = logging.LoggerAdapter(logger, {"server": self._agent.server_id, "step": step.name})
        context = CheckContext(
            server_id=self._agent.server_id,
            step_name=step.name,
            timeout=self._within,
            log=log,
            reveal=request.reveal,
        )
        params = handler.params_model.model_validate(step.params)
        try:
            async with asyncio.timeout(self._within.total_seconds()):
                return await handler.check(params, context)
        except StepFailed as failure:
            return _fails(str(failure))
        except TimeoutError:
            return CheckResult.unknown(
                f"the check took longer than {format_duration(self._within)}"
            )
        except Exception as bug:  # noqa: BLE001 - a handler's bug is an answer about this step, nothing more
            return CheckResult.unknown(f"the check broke: {type(bug).__name__}: {bug}")


def _fails(why: str) -> CheckResult:
    return CheckResult(status=CheckStatus.FAILS, note=why)
