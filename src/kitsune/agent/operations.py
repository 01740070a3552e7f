"""Runs each operation once, however often it is handed out."""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kitsune.agent.deadline import TimedOut, time_left, within
from kitsune.agent.failpoints import failpoint
from kitsune.agent.journal import Entry, Journal, Operation
from kitsune.agent.leftovers import end_leftovers
from kitsune.agent.outcomes import named, outcome_of, unknown
from kitsune.agent.proc import boot_id, process_start_time
from kitsune.agent.survivors import Survivors, remaining, remaining_of, told, with_remains
from kitsune.agent.tally import Tally, Uncounted
from kitsune.agent.work import Resume, Work
from kitsune.errors import JournalUnavailable, NothingLeft, ProcessRemains, StepFailed
from kitsune.models.durations import format_duration
from kitsune.models.results import StepOutcome

#: How often an idempotent handler may run again because its agent died, whatever `maximumAttempts` says:
#: a step that kills its agent must not do so for ever.
_RERUNS_AFTER_INTERRUPTION = 5

logger = logging.getLogger("kitsune.agent")


@dataclass(frozen=True)
class Verdict:
    """How a delivery ended; `final` is False when Temporal should hand the operation out again."""

    outcome: StepOutcome
    final: bool


@dataclass
class _Run:
    """A running delivery: the task that callers wait for, and the handler's own, which can be cancelled."""

    operation: Operation
    task: asyncio.Task[Verdict] | None = None
    handler: asyncio.Task[Mapping[str, Any]] | None = None
    cancelled: bool = False
    stopping: bool = False
    waiting: int = 0


class OperationRunner:
    """Runs operations against a journal; deliveries of one operation meet in one task."""

    def __init__(self, journal: Journal, tally: Tally | None = None) -> None:
        self._journal = journal
        self._tally = tally or Uncounted()
        self._running: dict[str, _Run] = {}
        self._unrecorded: dict[str, Verdict] = {}
        self._survivors = Survivors(journal)
        self._keeps_nothing = False

    async def run(self, operation: Operation, work: Work) -> Verdict:
        """Run an operation, attach to its running execution, or return what is on record.

        A cancelled caller leaves the execution running: `cancel` ends it.

        Raises:
            JournalUnavailable: Nothing was done, because it could not be recorded.
            ProcessRemains: Nothing was done, because of what an earlier step has left.
            NotWanted: Nothing was done, because it is not wanted any more.
        """
        run = self._running.get(operation.id)
        if run is None:
            run = self._running[operation.id] = _Run(operation)
            run.task = asyncio.create_task(self._deliver(operation, work, run))
            run.task.add_done_callback(lambda _done: self._running.pop(operation.id, None))
        else:
            self._tally.delivered("attached")
        run.waiting += 1
        try:
            return await _result(run)
        finally:
            run.waiting -= 1

    async def catch_up(self) -> None:
        """Record what could not be recorded when it ended: there may be room by now."""
        for operation_id, verdict in list(self._unrecorded.items()):
            with contextlib.suppress(JournalUnavailable):
                await self._journal.end(operation_id, verdict.outcome, final=True)
                self._unrecorded.pop(operation_id, None)

    async def refuse_beside_survivors(self) -> None:
        """Do nothing, unless an earlier step has left what cannot be ended.

        Raises:
            ProcessRemains: One has.
            JournalUnavailable: That cannot be known.
        """
        await self._survivors.refuse()

    def keep_nothing(self) -> None:
        """Leave nothing to a next agent: another host takes over, and would begin it anew."""
        self._keeps_nothing = True

    async def cancel(self, operation: Operation, *, stopping: bool = False) -> Verdict | None:
        """End a running execution and return how it ended, or None where nothing runs.

        Args:
            operation: Which one.
            stopping: The agent stops, nobody asked for the step to end: what can outlive the agent is let go,
                everything else counts as interrupted.
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

        Raises:
            ProcessRemains: That could not be ended.
        """
        await self.cancel(operation)
        entry = await self._journal.find(operation.id)
        ended = operation.id in self._unrecorded
        if entry is not None and entry.state == "started" and not ended:
            left = remaining_of(remaining(await end_leftovers(entry)))
            if left:
                raise ProcessRemains(f"step {entry.step!r} has not ended: {told(left)}")
        return entry

    def lets_go(self, operation: Operation) -> bool:
        """Return whether an execution is being cancelled only because the agent stops."""
        run = self._running.get(operation.id)
        return run is not None and run.stopping and not self._keeps_nothing

    async def end_leftovers(self, *, surviving: Collection[str] = ()) -> int:
        """End what a dead agent left running on this server; return how many executions that were.

        Args:
            surviving: Step types whose executions are for the next delivery to go on with.
        """
        entries = await self._journal.list_started()
        entries = [entry for entry in entries if entry.step_type not in surviving]
        await asyncio.gather(*(end_leftovers(entry) for entry in entries))
        return len(entries)

    async def list_unattended(self) -> list[Entry]:
        """Return executions that have begun and that no delivery attends to."""
        return self._unattended(await self._journal.list_started())

    def _unattended(self, started: Sequence[Entry]) -> list[Entry]:
        attended = {key for key, run in self._running.items() if run.waiting}
        known = attended | self._unrecorded.keys()
        return [entry for entry in started if entry.id not in known]

    async def end_unattended(self, entry: Entry, *, cause: str) -> None:
        """End an execution that nobody will ask for any more, and record that."""
        if run := self._running.get(entry.id):
            await self.cancel(run.operation)
            return
        left = await end_leftovers(entry)
        now = await self._journal.find(entry.id)
        if now is None or now.state != "started" or entry.id in self._running:
            return
        outcome = StepOutcome(
            name=entry.step,
            success=False,
            error=unknown(cause, left),
            type=entry.step_type or "",
            index=entry.step_index or 0,
            status="interrupted",
            executions=entry.executions,
            deliveries=entry.deliveries,
            started_at=entry.started_at,
            ended_at=datetime.now(UTC),
            outputs=remaining(left),
        )
        await self._journal.end(entry.id, outcome, final=True)
        self._tally.interrupted()
        self._tally.ended(entry.phase, outcome)
        self._survivors.note(entry.rollout_id, outcome)

    async def _deliver(self, operation: Operation, work: Work, run: _Run) -> Verdict:
        await self.catch_up()
        if unrecorded := self._unrecorded.get(operation.id):
            return unrecorded
        entry = await self._look(operation)
        if entry is not None:
            with contextlib.suppress(JournalUnavailable):  # a count, not worth a step that runs
                await self._journal.deliver(operation.id)
            if entry.undone:
                error = "it was rolled back since: start a new rollout to do it again"
                outcome = outcome_of(operation, entry, error=error, status="failed")
                return Verdict(outcome, final=True)
            if entry.state == "finished" and entry.outcome is not None:
                self._tally.delivered("answered")
                delivered = entry.outcome.model_copy(update={"deliveries": entry.deliveries + 1})
                return Verdict(delivered, final=True)
            if entry.state == "started" and work.resume is not None:
                self._tally.delivered("resumed")
                return await self._execute(operation, work, entry, run, resume=work.resume)
            if entry.state == "started":
                left = await end_leftovers(entry)
                rebooted = entry.boot_id not in (None, boot_id())
                cause = "the host restarted" if rebooted else "the local worker died"
                verdict = await self._interrupted(operation, work, entry, cause=cause, left=left)
                if verdict.final:
                    return verdict
        await self._survivors.refuse()
        failpoint("step.delivered")
        if work.confirm is not None:
            await work.confirm()
        failpoint("journal.before_begin")
        entry = await self._journal.begin(operation, boot_id=boot_id())
        failpoint("journal.after_begin")
        self._tally.delivered("begun")
        return await self._execute(operation, work, entry, run)

    async def _look(self, operation: Operation) -> Entry | None:
        """Return what is on record of an operation.

        What still runs for another rollout is ended: it has lost this server, or Temporal would not be here with ours.
        """
        strangers = [
            run.operation
            for run in self._running.values()
            if run.operation.run_id != operation.run_id
        ]
        await asyncio.gather(*(self.cancel(stranger) for stranger in strangers))
        own, started = await self._journal.look(operation.id)
        for entry in self._unattended(started):
            if entry.run_id not in (None, operation.run_id):
                await self.end_unattended(entry, cause="another rollout took this server")
        return own

    async def _end(self, operation: Operation, verdict: Verdict) -> Verdict:
        """Record how an execution ended; what cannot be recorded is at least remembered and told."""
        failpoint("journal.before_end")
        self._survivors.note(operation.rollout_id, verdict.outcome)
        try:
            await self._journal.end(operation.id, verdict.outcome, final=verdict.final)
            failpoint("journal.after_end")
        except JournalUnavailable as error:
            logger.error("%s %s, but %s", operation.step_name, verdict.outcome.status, error)  # noqa: TRY400 - one clear line
            verdict = Verdict(verdict.outcome, final=True)
            self._unrecorded[operation.id] = verdict
        if verdict.final:
            self._tally.ended(operation.phase, verdict.outcome)
        return verdict

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
        self._tally.interrupted()
        again = not left and (
            entry.executions < work.executions
            or (work.idempotent and entry.interruptions < _RERUNS_AFTER_INTERRUPTION)
        )
        outcome = outcome_of(
            operation,
            entry,
            error=unknown(cause, left),
            status="interrupted",
            outputs={**(outputs or {}), **remaining(left)},
        )
        return await self._end(operation, Verdict(outcome, final=not again))

    async def _let_go(self, operation: Operation, work: Work, entry: Entry) -> Verdict:
        """Leave an execution to the next agent where that can go on with it; the journal says that it runs."""
        if work.resume is None or self._keeps_nothing:
            cause = "the local worker was stopped"
            return await self._interrupted(operation, work, entry, cause=cause, outputs=work.left)
        error = "the local worker restarts, and the step goes on without it"
        outcome = outcome_of(operation, entry, error=error, status="interrupted")
        return Verdict(outcome, final=False)

    async def _nothing_left(self, operation: Operation, work: Work, *, resumed: bool) -> Verdict:
        entry = await self._journal.find(operation.id)
        if entry is None:
            raise JournalUnavailable("the journal has lost the row of a step that ran")
        left = await end_leftovers(entry)
        cause = "the local worker died" if resumed else "what watches over it was killed"
        if entry.boot_id not in (None, boot_id()):
            cause = "the host restarted"
        return await self._interrupted(operation, work, entry, cause=cause, left=left)

    async def _end_rest(self, operation: Operation, outputs: dict[str, Any]) -> dict[str, Any]:
        """End what an execution has left, unless its handler has tried; return its outputs with what remains."""
        if not remaining_of(outputs):
            with contextlib.suppress(JournalUnavailable):
                if entry := await self._journal.find(operation.id):
                    return outputs | remaining(await end_leftovers(entry))
        return outputs

    async def _execute(
        self,
        operation: Operation,
        work: Work,
        entry: Entry,
        run: _Run,
        *,
        resume: Resume | None = None,
    ) -> Verdict:
        async def record_process(pid: int) -> None:
            await self._journal.record_process(
                operation.id, pid=pid, pid_start=process_start_time(pid), boot_id=boot_id()
            )

        error: str | None = None
        status, outputs, permanent = "succeeded", dict[str, Any](), False
        run.handler = asyncio.ensure_future(
            resume(entry, record_process)
            if resume
            else work.execute(entry.executions, record_process)
        )
        if run.cancelled:  # while its start was being recorded
            run.handler.cancel()
        try:
            outputs = dict(
                await within(
                    run.handler, time_left(work.timeout, entry, resumed=resume is not None)
                )
            )
        except TimedOut:
            error = f"timed out after {format_duration(work.timeout)}"
            status, outputs = "failed", dict(work.left)
        except StepFailed as failure:
            error, status, permanent = str(failure), "failed", failure.permanent
            outputs = failure.outputs
        except NothingLeft:
            return await self._nothing_left(operation, work, resumed=resume is not None)
        except asyncio.CancelledError:
            if run.stopping:
                return await self._let_go(operation, work, entry)
            outputs = dict(work.left)
            if run.cancelled:
                # The handler may have been cancelled before it had begun to go on with what runs.
                outputs = await self._end_rest(operation, outputs)
                error, status, permanent = "cancelled while it ran", "cancelled", True
            else:
                error, status = "the handler broke: it cancelled itself", "failed"
        except Exception as bug:  # noqa: BLE001 - a handler's bug is this step's failure, nobody else's
            outputs = await self._end_rest(operation, {})
            error, status = f"the handler broke: {named(bug)}", "failed"
        error, status, permanent = with_remains(outputs, error, status, permanent=permanent)
        final = error is None or permanent or entry.executions >= work.executions
        outcome = outcome_of(operation, entry, error=error, status=status, outputs=outputs)
        return await self._end(operation, Verdict(outcome, final=final))


async def _result(run: _Run) -> Verdict:
    if run.task is None:  # pragma: no cover - `run` sets it before anybody else can ask
        raise RuntimeError("this run was never started")
    return await asyncio.shield(run.task)
