"""The `script` step: runs a program, or a text for an interpreter, on the server."""

import asyncio
import os
import shlex
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar

from kitsune.agent.environment import clean_environment
from kitsune.agent.handover import input_file, script_file
from kitsune.agent.launch import Program, find_account, find_program
from kitsune.agent.output import OutputStreams
from kitsune.agent.supervision import Ended, run_program
from kitsune.agent.undo import UndoRecord
from kitsune.errors import StepFailed
from kitsune.handlers.base import Reversible, StepContext, StepHandler
from kitsune.handlers.script_params import ScriptParams
from kitsune.models.results import json_of
from kitsune.names import (
    ENV_ATTEMPT,
    ENV_OPERATION,
    ENV_ROLLOUT_ID,
    ENV_SCRIPT_SERVER_ID,
    ENV_STEP,
)

_REPORT_SECONDS = 1.0
_MESSAGE_BYTES = 1800
_MESSAGE_LINES = 10


class ScriptHandler(StepHandler[ScriptParams]):
    """Runs scripts."""

    type: ClassVar[str] = "script"
    params_model = ScriptParams

    def reversible_with(self, params: ScriptParams) -> Reversible:
        """Return `partial` where a rollback is given: only its author knows what it restores."""
        return "partial" if params.rollback_command or params.rollback_inline else "none"

    async def execute(self, params: ScriptParams, ctx: StepContext) -> Mapping[str, Any]:
        """Run the script; the outputs say how it ended and hold the head and tail of what it printed.

        Raises:
            StepFailed: It could not start, ended with another exit code, or by a signal.
        """
        argv = [params.command, *params.args] if params.command else None
        return await _run(
            params,
            ctx,
            argv=argv,
            inline=params.inline,
            stdin=params.stdin,
            good=params.success_exit_codes,
        )

    async def rollback(
        self, params: ScriptParams, undo: UndoRecord | None, ctx: StepContext
    ) -> None:
        """Run the rollback script, where one is given.

        Raises:
            StepFailed: As in `execute`; only exit code 0 is a success.
        """
        del undo
        argv = [params.rollback_command, *params.rollback_args] if params.rollback_command else None
        if argv or params.rollback_inline:
            await _run(params, ctx, argv=argv, inline=params.rollback_inline, stdin=None, good=[0])


async def _run(
    params: ScriptParams,
    ctx: StepContext,
    *,
    argv: Sequence[str] | None,
    inline: str | None,
    stdin: str | None,
    good: Collection[int],
) -> dict[str, Any]:
    with ExitStack() as stack:
        program = _program(params, ctx, stack, argv=argv, inline=inline, stdin=stdin)
        streams = stack.enter_context(OutputStreams(ctx.spool, limit=ctx.output_limit))
        ended = await _supervise(program, params, ctx, streams)
    outputs = _outputs(ended, streams)
    if ended.signal is not None or ended.exit_code not in good:
        raise StepFailed(_failure(ended, streams), outputs=outputs)
    return outputs


def _program(
    params: ScriptParams,
    ctx: StepContext,
    stack: ExitStack,
    *,
    argv: Sequence[str] | None,
    inline: str | None,
    stdin: str | None,
) -> Program:
    account = find_account(params.user) if params.user else None
    environment = clean_environment(os.environ, account=account) | params.env | _told(ctx)
    inherited: tuple[int, ...] = ()
    if inline is not None:
        words = shlex.split(params.interpreter)
        find_program(words[0], path=environment["PATH"], cwd=params.cwd, kind="interpreter")
        text, inherited = stack.enter_context(script_file(ctx.spool, inline, account=account))
        argv = [*words, text]
    return Program(
        argv=argv or [],
        environment=environment,
        cwd=params.cwd,
        account=account,
        stdin=None if stdin is None else stack.enter_context(input_file(ctx.spool, stdin)),
        inherited=inherited,
    )


def _told(ctx: StepContext) -> dict[str, str]:
    return {
        ENV_ROLLOUT_ID: ctx.rollout_id,
        ENV_SCRIPT_SERVER_ID: ctx.server_id,
        ENV_STEP: ctx.step_name,
        ENV_ATTEMPT: str(ctx.attempt),
        ENV_OPERATION: ctx.operation_id,
    }


async def _supervise(
    program: Program, params: ScriptParams, ctx: StepContext, streams: OutputStreams
) -> Ended:
    def warn(left: list[int]) -> None:
        ctx.log.warning("still alive after KILL: process %s", ", ".join(map(str, left)))

    reports = asyncio.create_task(_report_changes(ctx, streams))
    try:
        return await run_program(
            program,
            marker=ctx.operation_id,
            grace=params.kill_grace,
            stdout=streams.stdout,
            stderr=streams.stderr,
            record_process=ctx.record_process,
            on_left=warn,
        )
    except asyncio.CancelledError:
        ctx.leave_outputs(_printed(streams))
        raise
    finally:
        reports.cancel()


async def _report_changes(ctx: StepContext, streams: OutputStreams) -> None:
    reported = 0
    while True:
        await asyncio.sleep(_REPORT_SECONDS)
        if streams.size != reported:
            reported = streams.size
            ctx.report(
                {
                    "stdout": streams.stdout.last_line(),
                    "stderr": streams.stderr.last_line(),
                    "bytes": reported,
                }
            )


def _outputs(ended: Ended, streams: OutputStreams) -> dict[str, Any]:
    outputs: dict[str, Any] = {
        "exitCode": ended.exit_code,
        "signal": ended.signal,
        "changed": True,
    }
    return outputs | _printed(streams)


def _printed(streams: OutputStreams) -> dict[str, Any]:
    printed: dict[str, Any] = {
        "stdout": json_of(streams.stdout.text()),
        "stderr": json_of(streams.stderr.text()),
    }
    return printed | ({"spoolError": streams.spool_error} if streams.spool_error else {})


def _failure(ended: Ended, streams: OutputStreams) -> str:
    how = f"killed by {ended.signal}" if ended.signal else f"exit code {ended.exit_code}"
    said = streams.stderr.last_lines(_MESSAGE_LINES, size=_MESSAGE_BYTES)
    said = said or streams.stdout.last_lines(_MESSAGE_LINES, size=_MESSAGE_BYTES)
    return f"{how}: {said}" if said else f"{how}, and it printed nothing"
