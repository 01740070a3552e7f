"""Runs the servers of a large rollout through shards: what happens flows up, what is decided flows down."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

from temporalio import workflow

from kitsune import names
from kitsune.models.orders import PauseOrder
from kitsune.models.problems import Problem
from kitsune.models.progress import Phase
from kitsune.models.requests import Decision
from kitsune.models.shards import (
    ShardAnswer,
    ShardConclude,
    ShardDecision,
    ShardGo,
    ShardHold,
    ShardReport,
    ShardSituation,
    ShardStop,
)
from kitsune.rollout.batches import Batch
from kitsune.rollout.limits import MAX_IN_SHARD
from kitsune.rollout.shards import Shard, split_into_shards, windows
from kitsune.rollout.targets import servers_to_undo
from kitsune.workflows.clock import next_change, until_resumed
from kitsune.workflows.preflight import Preflight
from kitsune.workflows.shard_children import ShardChildren
from kitsune.workflows.state import RolloutState

_NOT_UNDONE = "its shard of the rollout was lost, so nothing was undone there: `kitsune rollback`"


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
        self._shards = split_into_shards(state.ledger.batches)
        self._children = ShardChildren(state, self._shards, break_with, self._note_loss)
        self._of_server = {server: shard for shard in self._shards for server in shard.servers}
        self._answers: dict[int, ShardAnswer] = {}
        self._gone: dict[int, ShardGo] = {}
        self._situations: dict[int, ShardSituation] = {}
        self._holding = False

    def take(self, report: ShardReport) -> None:
        """Take what a shard tells."""
        state, shard = self._state, self._shards[report.number]
        for server, moment in report.started.items():
            state.started[server] = moment
            if server not in state.ledger.statuses:
                state.ledger.start(server)
        for held in report.held:
            state.hold_server(held)
        for result in report.ended:
            state.replace_result(result)
        if report.answer is not None:
            self._answers[report.number] = report.answer
        if report.situation is not None:
            self._take_situation(shard, report.situation)
        if report.ran:
            self._children.note_ran(shard)
        if state.stopped:
            self.obey_stop()
        elif report.number in self._gone and report.situation and report.situation.doubt:
            self._go(shard)  # the rule for the whole rollout says otherwise
        self._keep_hold()
        state.changes += 1
        self._tell()

    async def ask_all(self) -> list[Problem]:
        """Start every shard; each asks its servers."""
        self._children.start_all()
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
        """Let the shards of a batch run it, so many servers at once as the plan allows."""
        state = self._state
        if state.paused:
            await until_resumed(state)
        if state.stopped:
            return
        shards = [shard for shard in self._shards if shard.has(batch)]
        if self._is_let_run(batch):
            await self._see_begin(batch, shards[0])
            await self._until_ended(batch, shards[0])
            return
        state.phase = Phase.RUNNING
        self._tell()
        free = windows(state.ledger.strategy.max_concurrency, len(shards))
        await asyncio.gather(*(self._run(shard, batch, free) for shard in shards))

    async def run_rest(self) -> None:
        """Wait until nothing is in flight in any shard."""
        await workflow.wait_condition(lambda: self._gone.keys() <= self._children.ran)

    def goes_on_after(self, batch: Batch) -> bool:
        """Return whether a shard goes on with the next batch by itself: where it has that, and no gate is between."""
        gated = self._state.plan.rollout_strategy.approval == "everyBatch"
        return not gated and any(shard.first <= batch.index < shard.last for shard in self._shards)

    async def undo(self) -> None:
        """Let the shards undo what has to be undone, newest batch first, and wait until they have ended."""
        state = self._state
        while self._needed():
            state.phase = Phase.ROLLING_BACK
            state.clock.resume(workflow.now())  # an undo is never held
            self._tell()
            while layer := self._next_to_undo():
                await self._undo_layer(layer)
            if not state.pending:
                break
            await next_change(state)  # an operator may ask for more while some are waited for
        self._children.tell_all(names.SHARD_CONCLUDE, ShardConclude(close=True))
        await self._children.until_closed(self._shards)
        self._note_not_undone()

    def undo_more(self) -> None:
        """Tell every shard what else is to be undone."""
        self._situations = {
            number: situation.model_copy(update={"undone": False})
            for number, situation in self._situations.items()
        }
        self.obey_stop()

    def close(self) -> None:
        """Do nothing: every shard has ended."""

    def limits_changed(self) -> None:
        """Let shards that run share the new number of servers at once, and know how many may fail."""
        self._keep_hold()
        limit = self._state.ledger.strategy.max_concurrency
        running = [number for number in self._gone if number not in self._children.ran]
        share = MAX_IN_SHARD if limit is None else limit // max(1, len(running))
        for number in running:
            self._go(self._shards[number], window=max(1, min(share, MAX_IN_SHARD)))

    def obey_stop(self) -> None:
        """Tell every shard, once, and again when an operator's abort is added."""
        state = self._state
        order = ShardStop(reason=state.ledger.stop_reason or "", abort=state.abort)
        if not state.stopped or order == self._children.told_stop:
            return
        self._children.told_stop = order
        state.phase = Phase.STOPPING if state.phase is not Phase.ROLLING_BACK else state.phase
        self._children.tell_all(names.SHARD_STOP, order)

    def pause(self) -> None:
        """Tell every shard."""
        self._children.tell_all(names.PAUSE, PauseOrder(drain=self._state.drain))

    def resume(self) -> None:
        """Tell every shard."""
        self._children.tell_all(names.RESUME)

    def decide(self, server: str, decision: Decision) -> None:
        """Tell the shard that has the server."""
        order = ShardDecision(server_id=server, decision=decision)
        self._children.tell(self._of_server[server], names.SHARD_DECIDE, order)
        self._keep_hold()

    def _keep_hold(self) -> None:
        """Let no shard start anything while so much is held that nothing may."""
        hold = self._state.ledger.waits_for_decision
        if hold != self._holding:
            self._holding = hold
            self._children.tell_all(names.SHARD_HOLD, ShardHold(hold=hold))

    def _take_situation(self, shard: Shard, situation: ShardSituation) -> None:
        """Note how it stands with a shard, instead of how it stood."""
        state, own = self._state, shard.servers
        self._situations[shard.number] = situation
        for kept, now in (
            (state.absent, situation.absent),
            (state.ledger.aside, situation.aside),
            (state.pending, situation.pending),
        ):
            kept.difference_update(own)
            kept.update(now)
        for server in own:
            state.waiting_for.pop(server, None)
        state.waiting_for.update(situation.waiting_for)
        if situation.rollback_until is not None:
            state.rollback_until = state.rollback_until or situation.rollback_until

    def _is_let_run(self, batch: Batch) -> bool:
        """Return whether the shard of a batch was told, with an earlier one, to go on to it."""
        before = self._state.ledger.batches[batch.index - 1] if batch.index else None
        return before is not None and self.goes_on_after(before)

    async def _see_begin(self, batch: Batch, shard: Shard) -> None:
        """Return when a batch that begins by itself has begun, or never will."""
        state = self._state
        before = state.ledger.batches[batch.index - 1]
        ends = [
            state.results[server].ended_at for server in before.servers if server in state.results
        ]
        if before.wait_after and (last := max((end for end in ends if end), default=None)):
            state.phase = Phase.WAITING
            state.wait_until = last + timedelta(seconds=before.wait_after)
            self._tell()
        await workflow.wait_condition(
            lambda: (
                state.stopped
                or shard.number in self._children.ran
                or any(server in state.started for server in batch.servers)
                or state.ledger.has_ended(batch)
            )
        )
        state.wait_until = None
        if not state.stopped:
            state.phase = Phase.RUNNING
            self._tell()

    async def _until_ended(self, batch: Batch, shard: Shard) -> None:
        servers = shard.servers_of(batch)
        await workflow.wait_condition(
            lambda: shard.number in self._children.ran or self._state.ledger.have_ended(servers)
        )

    async def _run(self, shard: Shard, batch: Batch, free: list[int]) -> None:
        state = self._state
        while not free and not state.stopped:  # another one may be quicker
            await workflow.wait_condition(lambda: bool(free) or state.stopped)
        if state.stopped or shard.number in self._children.ran:
            return
        window = free.pop(0)
        for server in shard.servers_of(batch):
            if server not in state.ledger.statuses:
                state.ledger.start(server)
        upto = batch if not self.goes_on_after(batch) else state.ledger.batches[shard.last]
        self._go(shard, window=window, batches=upto.index - shard.first + 1)
        await self._until_ended(batch, shard)
        free.append(window)

    def _go(self, shard: Shard, *, window: int | None = None, batches: int | None = None) -> None:
        """Tell a shard what it may do; what is left out is as before."""
        before = self._gone.get(shard.number, ShardGo(window=MAX_IN_SHARD))
        failures, unreachable = self._state.ledger.left_for(shard.servers)
        order = ShardGo(
            window=before.window if window is None else window,
            batches=before.batches if batches is None else batches,
            failures=0 if shard.canary else failures,
            unreachable=None if shard.canary else unreachable,
        )
        self._gone[shard.number] = order
        self._children.tell(shard, names.SHARD_GO, order)

    def _needed(self) -> set[str]:
        """Return the servers that have to be undone and have not been."""
        state = self._state
        if state.plan.rollback_of:
            return set()  # what it does is undoing already
        groups = servers_to_undo(
            state.ledger.batches,
            state.results,
            scope=state.plan.rollback.scope,
            stopped=state.stopped,
            abort=state.abort,
            unsettled=state.unsettled,
        )
        return {server for group in groups for server in group}

    def _next_to_undo(self) -> list[Shard]:
        """Return the newest shards, all of one batch or one of several batches, that have something to undo."""
        needed = self._needed()
        left = [
            shard
            for shard in self._shards
            if self._undoes(shard) and not needed.isdisjoint(shard.servers)
        ]
        return [shard for shard in left if shard.first == left[-1].first]

    def _undoes(self, shard: Shard) -> bool:
        situation = self._situations.get(shard.number)
        return self._children.is_open(shard) and not (situation and situation.undone)

    async def _undo_layer(self, shards: Sequence[Shard]) -> None:
        for shard in shards:
            self._children.tell(shard, names.SHARD_CONCLUDE, ShardConclude())
        await workflow.wait_condition(lambda: not any(self._undoes(shard) for shard in shards))

    def _note_not_undone(self) -> None:
        state = self._state
        for server in sorted(self._needed()):
            if self._of_server[server].number in self._children.lost:
                state.results[server] = state.results[server].model_copy(
                    update={"rollback_failed": True, "error": _NOT_UNDONE}
                )

    def _has_answered(self, shard: Shard) -> bool:
        return shard.number in self._answers or (
            self._state.stopped and not self._children.is_open(shard)
        )

    def _note_loss(self, shard: Shard) -> None:
        self._answers.setdefault(shard.number, ShardAnswer())
        if self._state.stopped:
            self.obey_stop()
