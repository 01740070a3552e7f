"""A part of a large rollout: up to 200 servers of one batch, with a history of its own."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError

from kitsune import names
from kitsune.models.orders import PauseOrder
from kitsune.models.plan import Plan
from kitsune.models.requests import AbortRequest, HeldServer
from kitsune.models.results import COUNTS_AS_FAILED
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
from kitsune.rollout.aborts import merged_aborts
from kitsune.rollout.shards import without_outputs
from kitsune.workflows.runner import DirectRunner
from kitsune.workflows.state import RolloutState

#: A report waits for others, the longer the shard runs: a rollout takes 10,000 signals at most.
_SHORTEST_PAUSE = timedelta(seconds=1)
_PAUSE_SHARE = 10
#: So many failures are told at once, because they may stop the rollout.
_TOLD_AT_ONCE = 20


@workflow.defn(name=names.SHARD_WORKFLOW)
class ShardWorkflow:
    """Ask servers, run them when told to, and undo them at the end where the rollout was stopped."""

    @workflow.init
    def __init__(self, request: ShardRequest) -> None:
        self._number = request.number
        self._state = RolloutState(
            plan=Plan.model_validate(request.plan),
            rollout_id=request.rollout_id,
            run_id=request.run_id,
            started_at=workflow.now(),
            reference=request.reference,
        )
        self._runner = DirectRunner(self._state, tell=self._tell, break_with=self._break_with)
        self._go = False
        self._ran = False
        self._concluded = False
        self._broken: BaseException | None = None
        self._reported: set[str] = set()
        self._reported_starts: set[str] = set()
        self._new_holds: list[HeldServer] = []
        self._told_at_once = 0

    @workflow.run
    async def run(self, request: ShardRequest) -> ShardResult:
        """Return what became of the servers, once the rollout says that nothing more will be asked of them."""
        del request
        body = asyncio.create_task(self._roll_out())
        while not body.done():
            try:
                await workflow.wait_condition(lambda: body.done() or self._broken is not None)
            except asyncio.CancelledError:
                # The rollout is gone: nobody will say anything any more.
                abort = AbortRequest(actor="temporal", reason="the rollout's workflow was closed")
                self.stop(ShardStop(reason=f"aborted by temporal: {abort.reason}", abort=abort))
                self._concluded = True
            if self._broken is not None:
                raise self._broken
        return body.result()

    @workflow.signal(name=names.SHARD_GO)
    def go(self, order: ShardGo) -> None:
        """Run the plan, on so many servers at once."""
        self._state.ledger.set_limits(max_failures=None, max_concurrency=order.window)
        self._state.changes += 1
        self._go = True

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
        self._new_holds.append(held)

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
        """Start nothing more; cancel what runs where the plan or the operator says so."""
        state = self._state
        state.ledger.stop(order.reason)
        state.changes += 1
        if order.abort is not None:
            state.abort = merged_aborts(state.abort, order.abort)
            state.clock.resume(workflow.now())
        self._runner.obey_stop()

    @workflow.signal(name=names.SHARD_CONCLUDE)
    def conclude(self) -> None:
        """Undo what has to be undone, and end."""
        self._concluded = True

    async def _roll_out(self) -> ShardResult:
        state = self._state
        asked = await self._runner.ask()
        answer = ShardAnswer(
            problems=asked.problems,
            missing=asked.missing,
            found=list(asked.found.items()),
            warnings=state.warnings,
        )
        await self._report(answer=answer)
        await workflow.wait_condition(lambda: self._go or state.stopped)
        reporting = asyncio.create_task(self._keep_reporting())
        for batch in state.ledger.batches:
            await self._runner.run_batch(batch)
        await self._runner.run_rest()
        self._ran = True
        await reporting
        await self._report(ran=True)
        await workflow.wait_condition(lambda: self._concluded)
        await self._runner.undo()
        return ShardResult(results=[without_outputs(found) for found in state.results.values()])

    async def _keep_reporting(self) -> None:
        while not self._ran:
            await workflow.wait_condition(lambda: self._ran or self._has_news())
            pause = max(_SHORTEST_PAUSE, (workflow.now() - self._state.started_at) / _PAUSE_SHARE)
            await self._wait_unless_urgent(pause)
            if not self._ran:
                await self._report()

    async def _wait_unless_urgent(self, pause: timedelta) -> None:
        try:
            await workflow.wait_condition(
                lambda: self._ran or self._is_urgent(), timeout=pause, timeout_summary="report"
            )
        except TimeoutError:
            return
        self._told_at_once += 1

    def _has_news(self) -> bool:
        return bool(self._new_holds or self._unreported()) or len(self._state.started) > len(
            self._reported_starts
        )

    def _is_urgent(self) -> bool:
        statuses = self._state.ledger.statuses
        failed = any(statuses[server] in COUNTS_AS_FAILED for server in self._unreported())
        return self._told_at_once < _TOLD_AT_ONCE and (failed or bool(self._new_holds))

    def _unreported(self) -> list[str]:
        return [server for server in self._state.ledger.statuses if server not in self._reported]

    async def _report(self, *, answer: ShardAnswer | None = None, ran: bool = False) -> None:
        ended = self._unreported()
        started = {
            server: moment
            for server, moment in self._state.started.items()
            if server not in self._reported_starts
        }
        held, self._new_holds = self._new_holds, []
        self._reported.update(ended)
        self._reported_starts.update(started)
        report = ShardReport(
            number=self._number,
            started=started,
            held=held,
            ended=[without_outputs(self._state.results[server]) for server in ended],
            answer=answer,
            ran=ran,
        )
        parent = workflow.info().parent
        rollout = workflow.get_external_workflow_handle(
            self._state.rollout_id, run_id=parent.run_id if parent else None
        )
        try:
            await rollout.signal(names.SHARD_REPORT, report)
        except FailureError:  # it is gone, and our own cancellation is on its way
            workflow.logger.info("the rollout %s is gone", self._state.rollout_id)

    def _tell(self) -> None:
        done = len(self._state.ledger.statuses)
        workflow.set_current_details(
            f"part of `{self._state.rollout_id}`: {done} of {len(self._state.plan.servers)} servers ended"
        )

    def _break_with(self, error: BaseException) -> None:
        """Let a bug of ours fail the workflow task, loudly and mendably."""
        bug = RuntimeError(f"a bug in Kitsune: {error!r}")
        bug.__cause__ = error
        self._broken = self._broken or bug
