"""Scripts that ask for a restart of the host by exit code 194, and run again after it, in the same execution.

Each run has a folder of its own, inside that of the run before it: what is there tells a new local worker how far
the one before it came.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kitsune.agent.disk import refused, sync_way
from kitsune.agent.reboots import (
    AGAIN_FOLDER,
    asked_reboot,
    reboot_and_wait,
    reboot_command,
    wait_for_reboot,
)
from kitsune.agent.threads import in_thread
from kitsune.errors import StepFailed
from kitsune.handlers.base import StepContext

#: The exit code that means "restart this host, and run me again".
REBOOT_EXIT_CODE = 194
#: A script that asks for more restarts than this is broken.
_MOST_REBOOTS = 10

#: Runs the script once: told its context, and how often the host has restarted for it.
Run = Callable[[StepContext, int], Awaitable[Mapping[str, Any]]]


async def run_with_reboots(ctx: StepContext, run: Run, *, reboots: int = 0) -> Mapping[str, Any]:
    """Run a script; where it ends by asking for a restart, ask the host for one and wait for it.

    Raises:
        StepFailed: As `run`; or the host could not be restarted, or was too often.
    """
    try:
        outputs = await run(ctx, reboots)
    except StepFailed as failure:
        if failure.outputs.get("exitCode") != REBOOT_EXIT_CODE:
            raise
        if reboots >= _MOST_REBOOTS:
            raise StepFailed(
                f"exit code {REBOOT_EXIT_CODE} asks for a restart, and the host has restarted {reboots} times for this step already",
                permanent=True,
                outputs=failure.outputs,
            ) from failure
        ctx.leave_outputs(failure.outputs)
        ctx.log.info("exit code %d: the script asks for a restart of the host", REBOOT_EXIT_CODE)
        await reboot_and_wait(ctx, reboot_command(os.environ), count=reboots + 1)
    return {**outputs, "reboots": reboots} if reboots else outputs


async def resume_with_reboots(
    ctx: StepContext, run: Run, attach: Run, *, reboots: int = 0
) -> Mapping[str, Any]:
    """Go on where a local worker before this one was: in a run of the script, waiting for the host, or back from it.

    Args:
        ctx: The step's context.
        run: Runs the script.
        attach: Goes on with a run that began before, in the folder of its context.
        reboots: How often the host has restarted before the run of this folder.

    Raises:
        StepFailed: As `run`.
    """
    asked = asked_reboot(ctx.spool)
    if asked is None:
        return await run_with_reboots(ctx, attach, reboots=reboots)
    if not asked.happened:
        await wait_for_reboot(ctx, asked)
    of_run_before = ctx.process is not None and ctx.process.boot_id == asked.boot_id
    again = replace(
        ctx, spool=ctx.spool / AGAIN_FOLDER, process=None if of_run_before else ctx.process
    )
    # The journal knows of its process before that begins, and outlasts a power cut; what the process writes may not.
    begun = again.process is not None
    if begun or (again.spool.exists() and any(again.spool.iterdir())):
        again.spool.mkdir(mode=0o700, exist_ok=True)
        return await resume_with_reboots(again, run, attach, reboots=asked.count)
    await in_thread(lambda _stop: _make(again.spool))
    ctx.log.info("the host is back: the script runs again")
    return await run_with_reboots(again, run, reboots=asked.count)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_way(folder, above=1)
    except OSError as error:
        raise refused(error, folder, doing="create the folder") from error
