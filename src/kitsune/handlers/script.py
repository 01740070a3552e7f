"""The `script` step: runs a program, or a text for an interpreter, on the server."""

import asyncio
import os
import shlex
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from kitsune.agent.environment import clean_environment
from kitsune.agent.handover import input_file, script_file, text_path
from kitsune.agent.launch import Program, find_account, find_program
from kitsune.agent.output import OutputStreams
from kitsune.agent.processes import end_tree
from kitsune.agent.reboots import AGAIN_FOLDER
from kitsune.agent.supervision import (
    Bounds,
    Shimmed,
    check_started,
    end_shimmed,
    follow,
    left_behind,
    read_record,
    signal_name,
    start_under_shim,
)
from kitsune.agent.survivors import remaining
from kitsune.agent.undo import UndoRecord
from kitsune.errors import NothingLeft, StepFailed
from kitsune.handlers.base import Reversible, StepContext, StepHandler
from kitsune.handlers.script_params import ScriptParams
from kitsune.handlers.script_reboots import resume_with_reboots, run_with_reboots
from kitsune.models.durations import format_duration
from kitsune.models.results import json_of
from kitsune.names import (
    ENV_ATTEMPT,
    ENV_OPERATION,
    ENV_REBOOTS,
    ENV_ROLLOUT_ID,
    ENV_SCRIPT_SERVER_ID,
    ENV_STEP,
)

_REPORT_SECONDS = 1.0
#: What a heartbeat carries of each stream: a few lines, for each goes to Temporal.
_TAIL_BYTES = 1024
_MESSAGE_BYTES = 1800
_MESSAGE_LINES = 10


class ScriptHandler(StepHandler[ScriptParams]):
    """Runs scripts."""

    type: ClassVar[str] = "script"
    params_model = ScriptParams
    survives: ClassVar[bool] = True

    def reversible_with(self, params: ScriptParams) -> Reversible:
        """Return `partial` where a rollback is given: only its author knows what it restores."""
        return "partial" if params.rollback_command or params.rollback_inline else "none"

    async def execute(self, params: ScriptParams, ctx: StepContext) -> Mapping[str, Any]:
        """Run the script; the outputs say how it ended and hold the head and tail of what it printed.

        Raises:
            StepFailed: It could not start, ended with another exit code, or by a signal.
        """
        asked = _asked(params)

        async def run(part: StepContext, reboots: int) -> Mapping[str, Any]:
            return await _run(asked, params, part, reboots=reboots)

        return await run_with_reboots(ctx, run)

    async def resume(self, params: ScriptParams, ctx: StepContext) -> Mapping[str, Any]:
        """Go on watching a script that another agent has started, or report how it ended meanwhile.

        Raises:
            NothingLeft: It is gone, and nobody has recorded how it ended.
            StepFailed: As in `execute`.
        """
        asked = _asked(params)

        async def run(part: StepContext, reboots: int) -> Mapping[str, Any]:
            return await _run(asked, params, part, reboots=reboots)

        async def attach(part: StepContext, reboots: int) -> Mapping[str, Any]:
            return await _resume(asked, params, part, reboots=reboots)

        return await resume_with_reboots(ctx, run, attach)

    async def rollback(
        self, params: ScriptParams, undo: UndoRecord | None, ctx: StepContext
    ) -> None:
        """Run the rollback script, where one is given.

        Raises:
            StepFailed: As in `execute`; only exit code 0 is a success.
        """
        del undo
        if self.reversible_with(params) != "none":
            await _run(_asked_rollback(params), params, ctx)

    async def resume_rollback(
        self, params: ScriptParams, undo: UndoRecord | None, ctx: StepContext
    ) -> None:
        """Go on watching a rollback script that another agent has started.

        Raises:
            NothingLeft: As in `resume`.
            StepFailed: As in `rollback`.
        """
        del undo
        if self.reversible_with(params) != "none":
            await _resume(_asked_rollback(params), params, ctx)


@dataclass(frozen=True)
class _Asked:
    argv: Sequence[str] | None
    inline: str | None
    stdin: str | None
    good: Collection[int]


def _asked(params: ScriptParams) -> _Asked:
    argv = [params.command, *params.args] if params.command else None
    return _Asked(argv, params.inline, params.stdin, params.success_exit_codes)


def _asked_rollback(params: ScriptParams) -> _Asked:
    argv = [params.rollback_command, *params.rollback_args] if params.rollback_command else None
    return _Asked(argv, params.rollback_inline, None, [0])


async def _run(
    asked: _Asked, params: ScriptParams, ctx: StepContext, *, reboots: int = 0
) -> dict[str, Any]:
    text = text_path(ctx.spool)
    try:
        with ExitStack() as stack:
            program = _program(asked, params, ctx, stack, reboots=reboots)
            process = await start_under_shim(
                program,
                ctx.spool,
                marker=ctx.operation_id,
                bounds=Bounds(
                    timeout=ctx.timeout,
                    grace=params.kill_grace,
                    limits=params.limits.given if params.limits else {},
                    remove=(str(text),),
                ),
                record_process=ctx.record_process,
            )
    except BaseException:
        text.unlink(missing_ok=True)
        raise
    return await _watch(process, asked, params, ctx, reboots=reboots)


async def _resume(
    asked: _Asked, params: ScriptParams, ctx: StepContext, *, reboots: int = 0
) -> dict[str, Any]:
    record = read_record(ctx.spool)
    if ctx.process is None or (record and record.get("neverStarted")):
        # The agent died before it had said go. Its shim may still be about to say that, in the same folder.
        await end_tree(ctx.operation_id, None, grace=timedelta(0))
        return await _run(asked, params, ctx, reboots=reboots)
    known = ctx.process
    process = Shimmed(known.boot_id, known.pid, known.start_time)
    if record is None and process.find() is None:
        record = read_record(ctx.spool)  # it may have ended between the two looks
        if record is None:
            text_path(ctx.spool).unlink(missing_ok=True)
            raise NothingLeft("the script is gone, and how it ended is not on record")
    ctx.log.info("the script goes on: process %d", process.pid)
    return await _watch(process, asked, params, ctx, reboots=reboots)


async def _watch(
    process: Shimmed,
    asked: _Asked,
    params: ScriptParams,
    ctx: StepContext,
    *,
    reboots: int,
) -> dict[str, Any]:
    """Follow a script to its end, and judge that."""
    try:
        record = await _follow(process, params, ctx)
        if "startError" in record:
            with ExitStack() as stack:
                check_started(record, _program(asked, params, ctx, stack, reboots=reboots))
    finally:
        if not ctx.letting_go():
            text_path(ctx.spool).unlink(missing_ok=True)
    if record.get("neverStarted"):
        return await _run(asked, params, ctx, reboots=reboots)
    streams = OutputStreams.read(ctx.spool, limit=ctx.output_limit, record=record)
    return _judge(record, streams, asked, ctx)


async def _follow(process: Shimmed, params: ScriptParams, ctx: StepContext) -> Mapping[str, Any]:
    """Return the record of a script's end; a cancelled one is ended, unless only the agent stops."""
    reports = asyncio.create_task(_report_changes(ctx))
    try:
        return await follow(process, ctx.spool, marker=ctx.operation_id)
    except asyncio.CancelledError:
        if not ctx.letting_go():
            await _stop(process, params, ctx)
        raise
    finally:
        reports.cancel()


async def _stop(process: Shimmed, params: ScriptParams, ctx: StepContext) -> None:
    left: list[int] = []
    await end_shimmed(
        process, marker=ctx.operation_id, grace=params.kill_grace, on_left=left.extend
    )
    text_path(ctx.spool).unlink(missing_ok=True)
    record = read_record(ctx.spool)
    streams = OutputStreams.read(ctx.spool, limit=ctx.output_limit, record=record)
    ctx.leave_outputs(_printed(streams) | remaining({*left, *left_behind(record)}))


def _judge(
    record: Mapping[str, Any], streams: OutputStreams, asked: _Asked, ctx: StepContext
) -> dict[str, Any]:
    code, number = record["exitCode"], record["signal"]
    name = signal_name(number) if number else None
    outputs = {"exitCode": code, "signal": name, "changed": True} | _printed(streams)
    outputs |= remaining(left_behind(record))
    bad = name is not None or code not in asked.good
    if (limit := record.get("limit")) and (bad or record["endedBy"] == "limit"):
        raise StepFailed(_over(limit), outputs=outputs)
    if record["endedBy"] == "timeout":
        raise StepFailed(f"timed out after {format_duration(ctx.timeout)}", outputs=outputs)
    if record["endedBy"] == "cancel":
        raise StepFailed("it was told to end by somebody else than Kitsune", outputs=outputs)
    if bad:
        raise StepFailed(_failure(code, name, streams), outputs=outputs)
    return outputs


def _over(limit: Mapping[str, Any]) -> str:
    if limit["name"] == "memory":
        return (
            f"ended: it used {limit['used']:,} bytes of memory, and its limit is {limit['limit']:,}"
        )
    return f"ended: it had {limit['used']} processes, and its limit is {limit['limit']}"


def _program(
    asked: _Asked, params: ScriptParams, ctx: StepContext, stack: ExitStack, *, reboots: int
) -> Program:
    argv = asked.argv
    account = find_account(params.user) if params.user else None
    environment = clean_environment(os.environ, account=account) | params.env | _told(ctx, reboots)
    inherited: tuple[int, ...] = ()
    if asked.inline is not None:
        words = shlex.split(params.interpreter)
        find_program(words[0], path=environment["PATH"], cwd=params.cwd, kind="interpreter")
        text, inherited = stack.enter_context(script_file(ctx.spool, asked.inline, account=account))
        argv = [*words, text]
    return Program(
        argv=argv or [],
        environment=environment,
        cwd=params.cwd,
        account=account,
        stdin=None
        if asked.stdin is None
        else stack.enter_context(input_file(ctx.spool, asked.stdin)),
        inherited=inherited,
    )


def _told(ctx: StepContext, reboots: int) -> dict[str, str]:
    return {
        ENV_ROLLOUT_ID: ctx.rollout_id,
        ENV_SCRIPT_SERVER_ID: ctx.server_id,
        ENV_STEP: ctx.step_name,
        ENV_ATTEMPT: str(ctx.attempt),
        ENV_OPERATION: ctx.operation_id,
        ENV_REBOOTS: str(reboots),
    }


async def _report_changes(ctx: StepContext) -> None:
    reported = 0
    while True:
        await asyncio.sleep(_REPORT_SECONDS)
        streams = OutputStreams.read(ctx.spool, limit=0)
        if streams.size != reported:
            reported = streams.size
            ctx.report(
                {
                    "stdout": streams.stdout.last_line(),
                    "stderr": streams.stderr.last_line(),
                    "bytes": reported,
                    "execution": ctx.attempt,
                    "tails": _tails(streams, ctx),
                }
            )


def _tails(streams: OutputStreams, ctx: StepContext) -> dict[str, Any]:
    """Return the ends of both streams; none after a restart of the host, for there they count from it."""
    if ctx.spool.name == AGAIN_FOLDER:
        return {}
    return {
        "stdout": streams.stdout.tail(_TAIL_BYTES),
        "stderr": streams.stderr.tail(_TAIL_BYTES),
    }


def _printed(streams: OutputStreams) -> dict[str, Any]:
    printed: dict[str, Any] = {
        "stdout": json_of(streams.stdout.text()),
        "stderr": json_of(streams.stderr.text()),
    }
    return printed | ({"spoolError": streams.spool_error} if streams.spool_error else {})


def _failure(code: int, name: str | None, streams: OutputStreams) -> str:
    how = f"killed by {name}" if name else f"exit code {code}"
    said = streams.stderr.last_lines(_MESSAGE_LINES, size=_MESSAGE_BYTES)
    said = said or streams.stdout.last_lines(_MESSAGE_LINES, size=_MESSAGE_BYTES)
    return f"{how}: {said}" if said else f"{how}, and it printed nothing"
