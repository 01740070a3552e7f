"""The `echo` step: says something, and changes nothing."""

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


class EchoParams(StepParams):
    """Writes a message to the server's log and returns it as the output `message`."""

    message: str = Field(description="What to say.")


class EchoHandler(StepHandler[EchoParams]):
    """Says something; it changes nothing, so a rollback has nothing to undo."""

    type: ClassVar[str] = "echo"
    params_model = EchoParams
    idempotent: ClassVar[bool] = True
    quick: ClassVar[bool] = True
    spools: ClassVar[bool] = False
    reversible: ClassVar[Reversible] = "full"
    checkable: ClassVar[Checkable] = "full"

    async def execute(self, params: EchoParams, ctx: StepContext) -> Mapping[str, Any]:
        """Log the message and return it."""
        ctx.log.info("%s", params.message)
        return {"message": params.message}

    async def check(self, params: EchoParams, ctx: CheckContext) -> CheckResult:
        """Say that nothing changes."""
        del params, ctx
        return CheckResult.identical("it changes nothing")
