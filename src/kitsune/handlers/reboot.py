"""The `reboot` step: restarts the host, and waits until it is back."""

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from kitsune.agent.proc import boot_id
from kitsune.agent.reboots import (
    AskedReboot,
    asked_reboot,
    reboot_and_wait,
    reboot_command,
    wait_for_reboot,
)
from kitsune.handlers.base import Checkable, CheckContext, StepContext, StepHandler, StepParams
from kitsune.models.checks import CheckResult


class RebootParams(StepParams):
    """Restarts the host, and succeeds when the local worker is back after another boot.

    The kernel's boot id tells whether the host has restarted; it is asked once, whatever dies in between.
    While it is away the rollout waits, for as long as the step's `timeout` allows: give it the time that the host needs.
    The outputs are `bootIdBefore` and `bootIdAfter`.
    """

    command: list[str] | None = Field(
        default=None,
        min_length=1,
        description="What restarts the host, without a shell. Default: `KITSUNE_REBOOT_COMMAND` of the local worker, "
        'else `["systemctl", "reboot"]`.',
    )
    message: str | None = Field(
        default=None, description="Why, for the local worker's log and for whoever watches."
    )


class RebootHandler(StepHandler[RebootParams]):
    """Restarts hosts."""

    type: ClassVar[str] = "reboot"
    params_model = RebootParams
    survives: ClassVar[bool] = True
    checkable: ClassVar[Checkable] = "full"

    async def execute(self, params: RebootParams, ctx: StepContext) -> Mapping[str, Any]:
        """Ask for the restart; the way back leads through `resume`.

        Raises:
            StepFailed: The host could not be asked, or is still up when the step's time is over.
        """
        if params.message:
            ctx.log.info("restart: %s", params.message)
            ctx.report({"message": params.message})
        await reboot_and_wait(ctx, params.command or reboot_command(os.environ))

    async def resume(self, params: RebootParams, ctx: StepContext) -> Mapping[str, Any]:
        """Say that the host is back, or go on waiting; the host is never asked twice.

        Raises:
            StepFailed: It is still up when the step's time is over.
        """
        asked = asked_reboot(ctx.spool)
        if asked is None:  # it died before it asked
            return await self.execute(params, ctx)
        if not asked.happened:
            await wait_for_reboot(ctx, asked)
        return _outputs(asked)

    async def check(self, params: RebootParams, ctx: CheckContext) -> CheckResult:
        """Say that the host restarts, as it always does."""
        del params, ctx
        return CheckResult.differs("restarts the host")


def _outputs(asked: AskedReboot) -> dict[str, Any]:
    return {"bootIdBefore": asked.boot_id, "bootIdAfter": boot_id(), "changed": True}
