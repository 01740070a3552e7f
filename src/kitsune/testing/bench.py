"""A bench on which one step of one server is executed, redelivered and rolled back."""

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from kitsune.agent.proc import boot_id, process_start_time
from kitsune.agent.undo import UndoRecord, UndoStore
from kitsune.errors import PlanRefused, StepFailed
from kitsune.handlers.base import CheckContext, RecordedProcess, StepContext, StepHandler
from kitsune.handlers.registry import HandlerRegistry
from kitsune.handlers.validation import check_params
from kitsune.models.checks import CheckResult
from kitsune.models.durations import format_duration, parse_duration

ResultT = TypeVar("ResultT")

_CHECK_WITHIN = timedelta(seconds=30)


class HandlerBench:
    """Runs one step with real params checks, a real undo store and a real context.

    A bench is one step of one rollout on one server. To execute again on the same bench is what an agent does with a
    step that failed, or that is handed out again because an agent died: the same operation id, the next attempt, and
    the undo record of the first one. For another step, make another bench; it may share the state folder.

    Attributes:
        attempt: How often the step was executed.
        log_lines: What the handler logged, formatted.
        reports: What it showed as live progress.
        left: The outputs that it left when it was ended by a timeout.
        processes: Process ids that it had recorded.
        letting_go: Set it before you cancel `execute`, to do what an agent does that only restarts.
        operation_id: What names the step; both benches of one name and state folder share their undo record.
    """

    def __init__(
        self,
        handler: StepHandler[Any],
        *,
        state: Path,
        step_name: str = "step",
        server_id: str = "server-1",
        rollout_id: str = "rollout-1",
    ) -> None:
        """Set up a bench.

        Args:
            handler: What to test.
            state: A folder for undo records and spooled files; created, and kept for you to look at.
            step_name: What the plan calls the step.
            server_id: Where it runs.
            rollout_id: The rollout that it belongs to.
        """
        self.attempt = 0
        self.log_lines: list[str] = []
        self.reports: list[dict[str, Any]] = []
        self.left: dict[str, Any] = {}
        self.processes: list[int] = []
        self.letting_go = False
        self._start_times: dict[int, int | None] = {}
        self._rollout_id, self._server_id, self._step_name = rollout_id, server_id, step_name
        self._handler = handler
        self._state = state
        self._store = UndoStore(state / "undo")
        self._params: BaseModel | None = None
        self._rollbacks = 0
        self.operation_id = self._operation("execute")

    @property
    def undo(self) -> UndoRecord | None:
        """What the handler has kept for its rollback, read from the disk."""
        return self._store.load(self.operation_id)

    async def execute(
        self, params: Mapping[str, Any], *, timeout: float | str | timedelta = 60
    ) -> dict[str, Any]:
        """Check the params, execute the step once, and return its outputs.

        To see what an abort does to the handler, run this in a task and cancel that.

        Args:
            params: As a plan would hold them: plain JSON with camelCase keys.
            timeout: What the plan would say; the handler is cancelled when it takes longer.

        Raises:
            PlanRefused: The params are wrong; `problems` says how.
            StepFailed: The step failed, or took too long.
            TypeError: The outputs are no JSON (ValueError for a number that JSON has not).
        """
        checked = self._check(params)
        self._params = checked
        self.attempt += 1
        context = self._context("execute", attempt=self.attempt, timeout=timeout)
        outputs = await _within(context, self._handler.execute(checked, context))
        travelled: dict[str, Any] = json.loads(json.dumps(dict(outputs), allow_nan=False))
        return travelled

    async def resume(
        self, params: Mapping[str, Any], *, timeout: float | str | timedelta = 60
    ) -> dict[str, Any]:
        """Go on with the last execution like an agent that finds what a dead one has left; takes and raises like `execute`.

        Raises:
            NothingLeft: Nothing is left of it.
            RuntimeError: Nothing was executed on this bench.
        """
        if not self.attempt:
            raise RuntimeError("nothing was executed on this bench: there is nothing to resume")
        checked = self._check(params)
        context = self._context("execute", attempt=self.attempt, timeout=timeout)
        if self.processes:
            pid = self.processes[-1]
            known = RecordedProcess(boot_id(), pid, self._start_times[pid])
            context = replace(context, process=known)
        outputs = await _within(context, self._handler.resume(checked, context))
        return dict(json.loads(json.dumps(dict(outputs), allow_nan=False)))

    async def check(self, params: Mapping[str, Any], *, reveal: bool = False) -> CheckResult:
        """Check the params, and return what the handler says that the step would change.

        Args:
            params: As a plan would hold them.
            reveal: Like `kitsune diff --reveal`.

        Raises:
            PlanRefused: The params are wrong; `problems` says how.
            StepFailed: The step would fail.
        """
        checked = self._check(params)
        context = CheckContext(
            server_id=self._server_id,
            step_name=self._step_name,
            timeout=_CHECK_WITHIN,
            log=logging.LoggerAdapter(_listening_logger(self.log_lines), {}),
            reveal=reveal,
        )
        return CheckResult.model_validate_json(
            (await self._handler.check(checked, context)).model_dump_json()
        )

    async def rollback(
        self, *, timeout: float | str | timedelta = 60, refuse_conflicts: bool = False
    ) -> None:
        """Roll back what was executed last, with the undo record that it kept.

        Args:
            timeout: As in `execute`.
            refuse_conflicts: Like `kitsune rollback` without `--force`.

        Raises:
            StepFailed: It could not be undone, took too long, or its undo record is damaged.
            RuntimeError: Nothing was executed on this bench.
        """
        if self._params is None:
            raise RuntimeError("nothing was executed on this bench: there is nothing to roll back")
        self._rollbacks += 1
        context = self._context("rollback", attempt=self._rollbacks, timeout=timeout)
        context = replace(context, refuse_conflicts=refuse_conflicts)
        await _within(context, self._handler.rollback(self._params, self.undo, context))

    def _check(self, params: Mapping[str, Any]) -> BaseModel:
        problems = check_params(
            self._handler.type, dict(params), HandlerRegistry([self._handler]), "params"
        )
        if problems:
            raise PlanRefused(problems)
        model: type[BaseModel] = self._handler.params_model
        return model.model_validate(dict(params))

    def _context(
        self, phase: str, *, attempt: int, timeout: float | str | timedelta
    ) -> StepContext:
        operation_id = self._operation(phase)
        spool = self._state / "operations" / operation_id
        if self._handler.spools:
            spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        return StepContext(
            rollout_id=self._rollout_id,
            server_id=self._server_id,
            step_name=self._step_name,
            operation_id=operation_id,
            attempt=attempt,
            timeout=parse_duration(timeout),
            spool=spool,
            undo=self._store.keeper(operation_id),
            log=logging.LoggerAdapter(_listening_logger(self.log_lines), {}),
            leave_outputs=self.left.update,
            report=lambda details: self.reports.append(json.loads(json.dumps(dict(details)))),
            record_process=self._record_process,
            letting_go=lambda: self.letting_go,
        )

    def _operation(self, phase: str) -> str:
        # The folder is in it, for tests beside each other must not end each other's processes.
        parts = [self._rollout_id, self._server_id, self._step_name, phase, str(self._state)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    async def _record_process(self, pid: int) -> None:
        self.processes.append(pid)
        self._start_times[pid] = process_start_time(pid)


async def _within(context: StepContext, work: Awaitable[ResultT]) -> ResultT:
    """Cancel work that takes too long, wait until it has cleaned up, and say so like an agent."""
    running = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({running}, timeout=context.timeout.total_seconds())
        if not done:
            running.cancel()
            await asyncio.wait({running})
    except asyncio.CancelledError:
        running.cancel()
        await asyncio.wait({running})
        raise
    if done or not (running.cancelled() or running.exception()):
        return running.result()
    raise StepFailed(f"timed out after {format_duration(context.timeout)}")


def _listening_logger(lines: list[str]) -> logging.Logger:
    """Return a logger of its own: benches do not hear each other, and change no setting of the process."""
    logger = logging.Logger("kitsune.testing", logging.DEBUG)  # noqa: LOG001 - a named one would be the whole process's
    logger.addHandler(_Listener(lines))
    return logger


class _Listener(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())
