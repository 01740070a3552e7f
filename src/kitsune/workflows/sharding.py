"""Runs the servers of a large rollout through shards: failures flow up, the stop flows down."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, FailureError, WorkflowAlreadyStartedError
from temporalio.workflow import (
    ChildWorkflowCancellationType,
    ChildWorkflowHandle,
    ParentClosePolicy,
)

from kitsune import names
from kitsune.models.orders import PauseOrder
from kitsune.models.problems import Problem
from kitsune.models.progress import Phase
from kitsune.models.requests import Decision
from kitsune.models.results import ServerStatus
from kitsune.models.shards import (
    ShardAnswer,
    ShardDecision,
    ShardGo,
    ShardHold,
    ShardReport,
    ShardRequest,
    ShardResult,
    ShardStop,
)
from kitsune.rollout.batches import Batch
from kitsune.rollout.limits import MAX_IN_SHARD, json_size, starts_at_once
from kitsune.rollout.shards import Shard, plan_of_shard, split_into_shards, windows
from kitsune.rollout.targets import servers_to_undo
from kitsune.workflows.clock import until_resumed
from kitsune.workflows.preflight import Preflight
from kitsune.workflows.state import RolloutState

_NOT_UNDONE = "its shard of the rollout was lost, so nothing was undone there: `kitsune rollback`"
_LOST = "its shard of the rollout was ended from outside ({seen})"


class ShardedRunner:
    """Runs servers in shards: every shard asks its servers at once, and runs them when its batch's turn comes.

    A shard stays open until the rollout is over, for the rollout may have to undo all of it.
    """

    def __init__(
        self,
        state: RolloutState,
        *,
        tell: Callable[[], None],
        break_with: Callable[[BaseException], None],
    ) -> None:
        """Take a rollout; the arguments are those of DirectRunner."""
        self._state = state
        self._tell = tell
        self._break_with = break_with
        self._shards = split_into_shards(state.ledger.batches)
        self._handles: dict[int, ChildWorkflowHandle[Any, Any]] = {}
        self._closing: dict[int, asyncio.Task[None]] = {}
        self._answers: dict[int, ShardAnswer] = {}
        self._ran: set[int] = set()
        self._gone: list[int] = []
        self._lost: set[int] = set()
        self._told: ShardStop | None = None
        self._holding = False
        self._telling: set[asyncio.Task[None]] = set()

    def take(self, report: ShardReport) -> None:
        """Take what a shard tells."""
        state = self._state
        state.started.update(report.started)
        for held in report.held:
            state.hold_server(held)
        for result in report.ended:
            if result.server_id not in state.ledger.statuses:
                state.end_server(result)
        if report.answer is not None:
            self._answers[report.number] = report.answer
        if report.ran:
            self._note_ran(self._shards[report.number])
        if state.stopped:
            self.obey_stop()
        self._keep_hold()
        state.changes += 1
        self._tell()

    async def ask_all(self) -> list[Problem]:
        """Start every shard; each asks its servers."""
        sizes = [json_size(self._request(shard).plan) for shard in self._shards]
        starting = asyncio.Semaphore(starts_at_once(max(sizes)))
        for shard in self._shards:
            task = asyncio.create_task(self._look_after(shard, starting))
            task.add_done_callback(self._note_bug)
            self._closing[shard.number] = task
        await workflow.wait_condition(
            lambda: all(self._has_answered(shard) for shard in self._shards)
        )
        asked = Preflight(self._state)
        for answer in (self._answers[number] for number in sorted(self._answers)):
            asked.problems += answer.problems
            self._state.warnings += answer.warnings
            for step_type, servers in answer.missing.items():
                asked.missing.setdefault(step_type, []).extend(servers)
            for problem, servers in answer.found:
                asked.found.setdefault(problem, []).extend(servers)
        problems = asked.conclude()
        if problems and not self._state.stopped:
            self._state.ledger.stop("the plan is refused")
            self.obey_stop()
            await self.undo()
        return problems

    async def run_batch(self, batch: Batch) -> None:
        """Let the shards of a batch run, so many servers at once as the plan allows."""
        state = self._state
        if state.paused:
            await until_resumed(state)
        if state.stopped:
            return
        state.phase = Phase.RUNNING
        self._tell()
        shards = self._of(batch)
        free = windows(state.ledger.strategy.max_concurrency, len(shards))
        await asyncio.gather(*(self._run(shard, free) for shard in shards))

    async def run_rest(self) -> None:
        """Return at once: shards wait for their own."""

    async def undo(self) -> None:
        """Let the shards undo what has to be undone, newest batch first, and wait until they have ended."""
        state = self._state
        needed = servers_to_undo(
            state.ledger.batches,
            state.results,
            scope=state.plan.rollback.scope,
            stopped=state.stopped,
            abort=state.abort,
            unsettled=state.unsettled,
        )
        if needed:
            state.phase = Phase.ROLLING_BACK
            state.clock.resume(workflow.now())  # an undo is never held
            self._tell()
            for batch in reversed(state.ledger.batches):
                await self._conclude(self._of(batch))
        await self._conclude(self._shards)
        for server in (server for group in needed for server in group):
            result = state.results[server]
            if self._shard_of(server).number in self._lost and not result.rolled_back:
                state.results[server] = result.model_copy(
                    update={"rollback_failed": True, "error": _NOT_UNDONE}
                )

    def limits_changed(self) -> None:
        """Let shards that run share the new number of servers at once."""
        self._keep_hold()
        limit = self._state.ledger.strategy.max_concurrency
        running = [number for number in self._gone if number not in self._ran]
        if limit is not None and running:
            window = max(1, min(limit // len(running), MAX_IN_SHARD))
            for number in running:
                self._tell_shards(names.SHARD_GO, ShardGo(window=window), only=number)

    def obey_stop(self) -> None:
        """Tell every shard, once, and again when an operator's abort is added."""
        state = self._state
        order = ShardStop(reason=state.ledger.stop_reason or "", abort=state.abort)
        if not state.stopped or order == self._told:
            return
        self._told = order
        state.phase = Phase.STOPPING if state.phase is not Phase.ROLLING_BACK else state.phase
        self._tell_shards(names.SHARD_STOP, order)

    def pause(self) -> None:
        """Tell every shard."""
        self._tell_shards(names.PAUSE, PauseOrder(drain=self._state.drain))

    def resume(self) -> None:
        """Tell every shard."""
        self._tell_shards(names.RESUME)

    def decide(self, server: str, decision: Decision) -> None:
        """Tell the shard that has the server."""
        shard = self._shard_of(server)
        order = ShardDecision(server_id=server, decision=decision)
        self._tell_shards(names.SHARD_DECIDE, order, only=shard.number)
        self._keep_hold()

    def _keep_hold(self) -> None:
        """Let no shard start anything while so much is held that nothing may."""
        hold = self._state.ledger.waits_for_decision
        if hold != self._holding:
            self._holding = hold
            self._tell_shards(names.SHARD_HOLD, ShardHold(hold=hold))

    def _tell_shards(self, name: str, *given: Any, only: int | None = None) -> None:
        for number, handle in self._handles.items():
            if only in (None, number):
                task = asyncio.create_task(_signal(handle, name, *given))
                self._telling.add(task)
                task.add_done_callback(self._note_bug)
                task.add_done_callback(self._telling.discard)

    def _shard_of(self, server: str) -> Shard:
        return next(shard for shard in self._shards if server in shard.servers)

    def _of(self, batch: Batch) -> list[Shard]:
        return [shard for shard in self._shards if shard.batch == batch.index]

    async def _run(self, shard: Shard, free: list[int]) -> None:
        state = self._state
        while not free and not state.stopped:  # another one may be quicker
            await workflow.wait_condition(lambda: bool(free) or state.stopped)
        if state.stopped or shard.number in self._ran:
            return
        window = free.pop(0)
        for server in shard.servers:
            if server not in state.ledger.statuses:
                state.ledger.start(server)
        self._gone.append(shard.number)
        await _signal(self._handles[shard.number], names.SHARD_GO, ShardGo(window=window))
        await workflow.wait_condition(lambda: shard.number in self._ran)
        free.append(window)

    async def _conclude(self, shards: Sequence[Shard]) -> None:
        opened = [shard for shard in shards if shard.number in self._handles]
        await asyncio.gather(
            *(_signal(self._handles[shard.number], names.SHARD_CONCLUDE) for shard in opened)
        )
        await asyncio.gather(*(self._closing[shard.number] for shard in opened))

    async def _look_after(self, shard: Shard, starting: asyncio.Semaphore) -> None:
        """Start a shard, and take its result when it ends."""
        async with starting:
            if self._state.stopped:
                return
            handle = await self._start(shard)
        if handle is None:
            self._give_up(shard, _LOST.format(seen="an older one of its name still runs"))
            self._note_ran(shard)
            return
        self._handles[shard.number] = handle
        if self._told is not None:
            await _signal(handle, names.SHARD_STOP, self._told)
        if self._state.paused:
            await _signal(handle, names.PAUSE, PauseOrder(drain=self._state.drain))
        try:
            ended = ShardResult.model_validate(await handle)
        except ChildWorkflowError as error:
            self._give_up(shard, _LOST.format(seen=error.cause or error))
        else:
            for result in ended.results:
                self._state.replace_result(result)
        finally:
            del self._handles[shard.number]
            self._note_ran(shard)

    async def _start(self, shard: Shard) -> ChildWorkflowHandle[Any, Any] | None:
        """Start a shard; None where one of an earlier run of this rollout has not ended yet."""
        try:
            return await workflow.start_child_workflow(
                names.SHARD_WORKFLOW,
                self._request(shard),
                id=f"{self._state.rollout_id}/shard-{shard.number + 1}",
                task_queue=names.ORCHESTRATOR_QUEUE,
                cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
                parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
                static_summary=self._summary(shard),
            )
        except WorkflowAlreadyStartedError:
            return None

    def _give_up(self, shard: Shard, error: str) -> None:
        self._lost.add(shard.number)
        for server in shard.servers:
            if server not in self._state.ledger.statuses:
                self._state.end_without_work(server, ServerStatus.UNKNOWN, error)
        self._answers.setdefault(shard.number, ShardAnswer())
        if self._state.stopped:
            self.obey_stop()

    def _note_ran(self, shard: Shard) -> None:
        self._ran.add(shard.number)
        for server in shard.servers:
            self._state.ledger.give_back(server)

    def _has_answered(self, shard: Shard) -> bool:
        return shard.number in self._answers or (
            self._state.stopped and shard.number not in self._handles
        )

    def _request(self, shard: Shard) -> ShardRequest:
        state = self._state
        return ShardRequest(
            rollout_id=state.rollout_id,
            run_id=state.run_id,
            number=shard.number,
            plan=plan_of_shard(
                state.plan,
                shard,
                with_params=state.reference is None,
                together=len(self._of(state.ledger.batches[shard.batch])),
            ),
            reference=state.reference,
        )

    def _summary(self, shard: Shard) -> str:
        first, last = shard.servers[0], shard.servers[-1]
        return f"batch {shard.batch + 1}: {len(shard.servers)} servers, {first} to {last}"[:200]

    def _note_bug(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._break_with(error)


async def _signal(handle: ChildWorkflowHandle[Any, Any], name: str, *given: Any) -> None:
    """Tell a shard something; one that has ended needs to know nothing more."""
    try:
        await handle.signal(name, args=given)
    except FailureError:
        return
