"""The `sleep` step: waits."""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from kitsune.handlers.base import (
    Checkable,
    CheckContext,
    Reversible,
    StepContext,
    StepHandler,
    StepParams,
)
from kitsune.models.checks import CheckResult
from kitsune.models.durations import Duration


class SleepParams(StepParams):
    """Waits for a while.

    In a rollout the workflow itself waits, as a durable timer: a local worker that restarts meanwhile costs nothing.
    """

    duration: Duration = Field(description="How long: a number of seconds, or 30s, 5m, 1h30m.")


class SleepHandler(StepHandler[SleepParams]):
    """Waits; there is nothing to undo.

    A rollout never calls it, for the workflow waits with a timer of its own; it is here to check the params, and
    for whoever runs handlers without Temporal.
    """

    type: ClassVar[str] = "sleep"
    params_model = SleepParams
    idempotent: ClassVar[bool] = True
    spools: ClassVar[bool] = False
    reversible: ClassVar[Reversible] = "full"
    checkable: ClassVar[Checkable] = "full"

    async def execute(self, params: SleepParams, ctx: StepContext) -> Mapping[str, Any]:
        """Wait, and return how long in seconds."""
        del ctx
        seconds = params.duration.total_seconds()
        await asyncio.sleep(seconds)
        return {"slept": seconds}

    async def check(self, params: SleepParams, ctx: CheckContext) -> CheckResult:
        """Say that nothing changes."""
        del params, ctx
        return CheckResult.identical("it changes nothing")
