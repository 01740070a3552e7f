"""A part of a large rollout: up to 200 servers, with a history of its own."""

import asyncio

from temporalio import workflow

from kitsune import names
from kitsune.models.orders import PauseOrder
from kitsune.models.plan import Plan
from kitsune.models.requests import AbortRequest, HeldServer
from kitsune.models.shards import (
    ShardAnswer,
    ShardConclude,
    ShardDecision,
    ShardGo,
    ShardHold,
    ShardRequest,
    ShardResult,
    ShardStop,
)
from kitsune.rollout.aborts import merged_aborts
from kitsune.workflows.bugs import bug_of
from kitsune.workflows.clock import next_change, wait_after
from kitsune.workflows.runner import DirectRunner
from kitsune.workflows.shard_reports import ShardReports
from kitsune.workflows.state import RolloutState


@workflow.defn(name=names.SHARD_WORKFLOW)
class ShardWorkflow:
    """Ask servers, run them when told to, and undo them where the rollout says so."""

    @workflow.init
    def __init__(self, request: ShardRequest) -> None:
        self._state = RolloutState(
            plan=Plan.model_validate(request.plan),
            rollout_id=request.rollout_id,
            run_id=request.run_id,
            started_at=workflow.now(),
            reference=request.reference,
            quick_types=request.quick_types,
        )
        self._state.ledger.defers = True
        self._runner = DirectRunner(self._state, tell=self._tell, break_with=self._break_with)
        self._reports = ShardReports(self._state, number=request.number, fleet=request.fleet)
        self._may_run = 0
        self._concluded = False
        self._closed = False
        self._broken: BaseException | None = None

    @workflow.run
    async def run(self, request: ShardRequest) -> ShardResult:
        """Return what is new of the servers, once the rollout says that nothing more will be asked of them."""
        del request
        body = asyncio.create_task(self._roll_out())
        while not body.done():
            try:
                await workflow.wait_condition(lambda: body.done() or self._broken is not None)
            except asyncio.CancelledError:
                # The rollout is gone: nobody will say anything any more.
                abort = AbortRequest(actor="temporal", reason="the rollout's workflow was closed")
                self.stop(ShardStop(reason=f"aborted by temporal: {abort.reason}", abort=abort))
                self.conclude(ShardConclude(close=True))
            if self._broken is not None:
                raise self._broken
        return body.result()

    @workflow.signal(name=names.SHARD_GO)
    def go(self, order: ShardGo) -> None:
        """Run the plan, within what the order allows."""
        ledger = self._state.ledger
        ledger.allow(window=order.window, failures=order.failures, unreachable=order.unreachable)
        self._may_run = len(ledger.batches) if order.batches is None else order.batches
        self._state.changes += 1

    @workflow.signal(name=names.PAUSE)
    def pause(self, order: PauseOrder) -> None:
        """Hold what runs, or let it finish; start nothing more."""
        self._state.drain = order.drain
        self._state.clock.pause(workflow.now())
        self._runner.pause()

    @workflow.signal(name=names.RESUME)
    def resume(self) -> None:
        """Go on."""
        self._state.clock.resume(workflow.now())
        self._state.changes += 1
        self._runner.resume()

    @workflow.signal(name=names.SERVER_HELD)
    def server_held(self, held: HeldServer) -> None:
        """Note that a step failed on a server, which waits for an operator's word."""
        self._state.hold_server(held)
        self._reports.held.append(held)

    @workflow.signal(name=names.SHARD_HOLD)
    def hold(self, order: ShardHold) -> None:
        """Start nothing new while so much of the rollout is held, or go on."""
        self._state.ledger.on_hold = order.hold
        self._state.changes += 1

    @workflow.signal(name=names.SHARD_DECIDE)
    def decide(self, order: ShardDecision) -> None:
        """Tell a held server what becomes of it."""
        if order.server_id in self._state.held:
            self._state.release_server(order.server_id, order.decision.verb)
            self._runner.decide(order.server_id, order.decision)

    @workflow.signal(name=names.SHARD_STOP)
    def stop(self, order: ShardStop) -> None:
        """Start nothing more; cancel what runs where the plan or the operator says so, or undo more."""
        state = self._state
        state.ledger.stop(order.reason)
        state.changes += 1
        if order.abort is not None:
            state.abort = merged_aborts(state.abort, order.abort)
            state.clock.resume(workflow.now())
        if not self._concluded:  # an undo is never cut short
            self._runner.obey_stop()

    @workflow.signal(name=names.SHARD_CONCLUDE)
    def conclude(self, order: ShardConclude) -> None:
        """Undo what has to be undone, and end where the order says so."""
        self._concluded = True
        self._closed = self._closed or order.close

    async def _roll_out(self) -> ShardResult:
        state = self._state
        asked = await self._runner.ask()
        answer = ShardAnswer(
            problems=asked.problems,
            missing=asked.missing,
            found=list(asked.found.items()),
            warnings=state.warnings,
        )
        await self._reports.send(answer=answer)
        await workflow.wait_condition(lambda: self._may_run > 0 or state.stopped)
        reporting = asyncio.create_task(self._reports.keep_sending())
        for batch in state.ledger.batches:
            await workflow.wait_condition(lambda: self._may_run > batch.index or state.stopped)  # noqa: B023 - awaited here
            await self._runner.run_batch(batch)
            if self._may_run > batch.index + 1:
                await wait_after(state, batch, tell=self._tell)
        await self._runner.run_rest()
        self._reports.close()
        await reporting
        await self._reports.send(ran=True)
        await self._undo()
        self._runner.close()
        return ShardResult(results=self._reports.take_changes())

    async def _undo(self) -> None:
        """Undo whenever there is something to undo, until nothing more will be asked."""
        await workflow.wait_condition(lambda: self._concluded)
        while True:
            seen = self._state.changes
            await self._undo_once()
            if self._closed:
                return
            await self._reports.send(undone=True)
            await next_change(self._state, since=seen, unless=lambda: self._closed)
            if self._state.changes == seen:
                return

    async def _undo_once(self) -> None:
        """Undo, and say so when nothing is left but what is away."""
        state, rounds = self._state, self._state.undo_rounds
        undoing = asyncio.create_task(self._runner.undo())
        while not undoing.done():
            await workflow.wait_condition(
                lambda: undoing.done() or state.undo_rounds != rounds  # noqa: B023 - awaited here
            )
            rounds = state.undo_rounds
            if not undoing.done():
                await self._reports.send(undone=True)
        undoing.result()

    def _tell(self) -> None:
        done = len(self._state.ledger.statuses)
        workflow.set_current_details(
            f"part of `{self._state.rollout_id}`: {done} of {len(self._state.plan.servers)} servers ended"
        )

    def _break_with(self, error: BaseException) -> None:
        self._broken = self._broken or bug_of(error)
