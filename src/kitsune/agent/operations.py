"""Runs each operation once, however often it is handed out."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kitsune.agent.journal import Entry, Journal, Operation
from kitsune.agent.processes import boot_id, end_tree, process_start_time
from kitsune.errors import StepFailed
from kitsune.models.durations import format_duration
from kitsune.models.results import StepOutcome

#: How often an idempotent handler may run again because its agent died, whatever `maximumAttempts` says:
#: a step that kills its agent must not do so for ever.
_RERUNS_AFTER_INTERRUPTION = 5
#: How long leftovers of a dead agent get between TERM and KILL.
_LEFTOVER_GRACE = timedelta(seconds=5)
_LONGEST_MESSAGE = 1900


@dataclass(frozen=True, kw_only=True)
class Work:
    """How to run an operation.

    Attributes:
        execute: Runs one execution; told its number and a function that journals a process id.
        executions: How many executions may fail before the failure is final.
        idempotent: May run again after an execution of unknown outcome.
        timeout: How long one execution may take.
    """

    execute: Callable[
        [int, Callable[[int], Coroutine[Any, Any, None]]], Coroutine[Any, Any, Mapping[str, Any]]
    ]
    executions: int
    idempotent: bool
    timeout: timedelta
    step_type: str


@dataclass(frozen=True)
class Verdict:
    """How a delivery ended; `final` is False when Temporal should hand the operation out again."""

    outcome: StepOutcome
    final: bool


@dataclass
class _Run:
    """A running delivery: the task that callers wait for, and the handler's own, which can be cancelled."""

    task: asyncio.Task[Verdict] | None = None
    handler: asyncio.Task[Mapping[str, Any]] | None = None
    cancelled: bool = False
    stopping: bool = False


class OperationRunner:
    """Runs operations against a journal; deliveries of one operation meet in one task."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._running: dict[str, _Run] = {}

    async def run(self, operation: Operation, work: Work) -> Verdict:
        """Run an operation, attach to its running execution, or return what is on record.

        A cancelled caller leaves the execution running: `cancel` ends it.

        Raises:
            JournalUnavailable: Nothing was done, because it could not be recorded.
        """
        run = self._running.get(operation.id)
        if run is None:
            run = self._running[operation.id] = _Run()
            run.task = asyncio.create_task(self._deliver(operation, work, run))
            run.task.add_done_callback(lambda _done: self._running.pop(operation.id, None))
        return await _result(run)

    async def cancel(self, operation: Operation, *, stopping: bool = False) -> Verdict | None:
        """End a running execution and return how it ended, or None where nothing runs.

        Args:
            operation: Which one.
            stopping: The agent stops, nobody asked for the step to end: it counts as interrupted.
        """
        run = self._running.get(operation.id)
        if run is None:
            return None
        run.cancelled, run.stopping = True, stopping
        if run.handler is not None:
            run.handler.cancel()
        return await _result(run)

    async def settle(self, operation: Operation) -> Entry | None:
        """Return the row of an operation of which nothing runs any more.

        What a dead agent left of it is ended first.
        """
        if await self.cancel(operation):
            return await self._journal.find(operation.id)
        entry = await self._journal.find(operation.id)
        if entry is not None and entry.state == "started":
            await _end_leftovers(entry)
        return entry

    async def _deliver(self, operation: Operation, work: Work, run: _Run) -> Verdict:
        entry = await self._journal.find(operation.id)
        if entry is not None:
            await self._journal.deliver(operation.id)
            if entry.state == "finished" and entry.outcome is not None:
                delivered = entry.outcome.model_copy(update={"deliveries": entry.deliveries + 1})
                return Verdict(delivered, final=True)
            if entry.state == "started":
                left = await _end_leftovers(entry)
                rebooted = entry.boot_id not in (None, boot_id())
                cause = "the host restarted" if rebooted else "the local worker died"
                verdict = await self._interrupted(operation, work, entry, cause=cause, left=left)
                if verdict.final:
                    return verdict
        entry = await self._journal.begin(operation, boot_id=boot_id())
        return await self._execute(operation, work, entry, run)

    async def _interrupted(
        self,
        operation: Operation,
        work: Work,
        entry: Entry,
        *,
        cause: str,
        left: Sequence[int] = (),
        outputs: Mapping[str, Any] | None = None,
    ) -> Verdict:
        again = not left and (
            entry.executions < work.executions
            or (work.idempotent and entry.interruptions < _RERUNS_AFTER_INTERRUPTION)
        )
        error = f"interrupted: {cause} while the step ran, and how far it came is not known"
        if left:
            error += f"; still running: process {', '.join(map(str, left))}"
        outcome = _outcome(
            operation, work, entry, error=error, status="interrupted", outputs=outputs
        )
        await self._journal.end(operation.id, outcome, final=not again)
        return Verdict(outcome, final=not again)

    async def _execute(self, operation: Operation, work: Work, entry: Entry, run: _Run) -> Verdict:
        async def record_process(pid: int) -> None:
            await self._journal.record_process(
                operation.id, pid=pid, pid_start=process_start_time(pid)
            )

        error: str | None = None
        status, outputs, permanent = "succeeded", dict[str, Any](), False
        run.handler = asyncio.ensure_future(work.execute(entry.executions, record_process))
        if run.cancelled:
            run.handler.cancel()
        try:
            outputs = dict(await _within(run.handler, work.timeout))
        except _TimedOut:
            error = f"timed out after {format_duration(work.timeout)}"
            status = "failed"
        except StepFailed as failure:
            error, status, permanent = str(failure), "failed", failure.permanent
            outputs = failure.outputs
        except asyncio.CancelledError:
            if run.stopping:
                return await self._interrupted(
                    operation, work, entry, cause="the local worker was stopped"
                )
            if run.cancelled:
                error, status, permanent = "cancelled while it ran", "cancelled", True
            else:
                error, status = "the handler broke: it cancelled itself", "failed"
        except Exception as bug:  # noqa: BLE001 - a handler's bug is this step's failure, nobody else's
            error, status = f"the handler broke: {_named(bug)}", "failed"
        final = error is None or permanent or entry.executions >= work.executions
        outcome = _outcome(operation, work, entry, error=error, status=status, outputs=outputs)
        await self._journal.end(operation.id, outcome, final=final)
        return Verdict(outcome, final=final)


class _TimedOut(Exception):
    """An execution took longer than it may."""


async def _within(
    handler: asyncio.Task[Mapping[str, Any]], timeout: timedelta
) -> Mapping[str, Any]:
    done, _ = await asyncio.wait({handler}, timeout=timeout.total_seconds())
    if done:
        return handler.result()
    handler.cancel()
    await asyncio.wait({handler})
    if not handler.cancelled() and handler.exception() is None:
        return handler.result()  # it finished while it was being told to stop
    raise _TimedOut


async def _result(run: _Run) -> Verdict:
    if run.task is None:  # pragma: no cover - `run` sets it before anybody else can ask
        raise RuntimeError("this run was never started")
    return await asyncio.shield(run.task)


async def _end_leftovers(entry: Entry) -> list[int]:
    """End what a dead agent's execution left running; return what could not be ended."""
    if entry.boot_id != boot_id():
        return []
    root = entry.pid
    if root is not None and (
        entry.pid_start is None or process_start_time(root) != entry.pid_start
    ):
        root = None
    return await end_tree(entry.id, root, grace=_LEFTOVER_GRACE)


def _outcome(
    operation: Operation,
    work: Work,
    entry: Entry,
    *,
    error: str | None,
    status: str,
    outputs: Mapping[str, Any] | None = None,
) -> StepOutcome:
    return StepOutcome(
        name=operation.step_name,
        success=error is None,
        error=_cut(error),
        type=work.step_type,
        index=operation.step_index,
        status=status,
        executions=entry.executions,
        deliveries=entry.deliveries,
        started_at=entry.started_at,
        ended_at=datetime.now(UTC),
        outputs=dict(outputs or {}),
    )


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _cut(text: str | None) -> str | None:
    if text is None:
        return None
    raw = text.encode(errors="replace")
    return (
        text
        if len(raw) <= _LONGEST_MESSAGE
        else raw[:_LONGEST_MESSAGE].decode(errors="ignore") + "…"
    )
