"""The shards of one rollout as child workflows: starting them, telling them things, taking how they end."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError
from temporalio.workflow import (
    ChildWorkflowCancellationType,
    ChildWorkflowHandle,
    ParentClosePolicy,
)

from kitsune import names
from kitsune.models.orders import PauseOrder
from kitsune.models.results import ServerStatus
from kitsune.models.shards import ShardRequest, ShardResult, ShardStop
from kitsune.rollout.limits import json_size, starts_at_once
from kitsune.rollout.shards import Shard, plan_of_shard
from kitsune.workflows.bugs import watched
from kitsune.workflows.outbox import Outbox
from kitsune.workflows.state import RolloutState

_LOST = "its shard of the rollout was ended from outside ({seen})"


@dataclass
class ShardChildren:
    """The child workflows of a large rollout.

    Attributes:
        break_with: Called with a bug of ours.
        on_loss: Called after a shard was ended from outside.
        told_stop: The last order to stop, which those that start late are told as well.
        ran: Shards of which nothing is in flight any more, and nothing more will start.
        lost: Shards that were ended from outside.
    """

    state: RolloutState
    shards: Sequence[Shard]
    break_with: Callable[[BaseException], None]
    on_loss: Callable[[Shard], None]
    told_stop: ShardStop | None = None
    ran: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)
    _outboxes: dict[int, Outbox] = field(default_factory=dict)
    _closing: "dict[int, asyncio.Task[None]]" = field(default_factory=dict)

    def start_all(self) -> None:
        """Start every shard, so many at once as one workflow task's commands hold."""
        requests = [self._request(shard) for shard in self.shards]
        largest = max(json_size(request.plan) for request in requests)
        starting = asyncio.Semaphore(starts_at_once(largest))
        for shard, request in zip(self.shards, requests, strict=True):
            self._closing[shard.number] = watched(
                self._look_after(shard, request, starting), self.break_with
            )

    def is_open(self, shard: Shard) -> bool:
        """Return whether a shard has been started and not ended."""
        return shard.number in self._outboxes

    def note_ran(self, shard: Shard) -> None:
        """Note that nothing of a shard will run any more."""
        self.ran.add(shard.number)
        for server in shard.servers:
            self.state.ledger.give_back(server)

    def tell_all(self, name: str, *given: Any) -> None:
        """Tell every open shard something."""
        for outbox in self._outboxes.values():
            outbox.put(name, *given)

    def tell(self, shard: Shard, name: str, *given: Any) -> None:
        """Tell a shard something; one that has ended needs to know nothing more."""
        if self.is_open(shard):
            self._outboxes[shard.number].put(name, *given)

    async def until_closed(self, shards: Iterable[Shard]) -> None:
        """Return when some shards have ended."""
        await asyncio.gather(
            *(self._closing[shard.number] for shard in shards if shard.number in self._closing)
        )

    async def _look_after(
        self, shard: Shard, request: ShardRequest, starting: asyncio.Semaphore
    ) -> None:
        """Start a shard, and take its result when it ends."""
        async with starting:
            if self.state.stopped:
                return
            handle = await self._start(shard, request)
        if handle is None:
            self._give_up(shard, _LOST.format(seen="an older one of its name still runs"))
            return
        self._outboxes[shard.number] = Outbox(handle, self.break_with)
        if self.told_stop is not None:
            self.tell(shard, names.SHARD_STOP, self.told_stop)
        if self.state.paused:
            self.tell(shard, names.PAUSE, PauseOrder(drain=self.state.drain))
        try:
            ended = ShardResult.model_validate(await handle)
        except ChildWorkflowError as error:
            del self._outboxes[shard.number]
            self._give_up(shard, _LOST.format(seen=error.cause or error))
        else:
            del self._outboxes[shard.number]
            for result in ended.results:
                self.state.replace_result(result)
            self.note_ran(shard)

    async def _start(
        self, shard: Shard, request: ShardRequest
    ) -> ChildWorkflowHandle[Any, Any] | None:
        """Start a shard; None where one of an earlier run of this rollout has not ended yet."""
        try:
            return await workflow.start_child_workflow(
                names.SHARD_WORKFLOW,
                request,
                id=f"{self.state.rollout_id}/shard-{shard.number + 1}",
                task_queue=names.ORCHESTRATOR_QUEUE,
                cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
                parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
                static_summary=_summary(shard),
            )
        except WorkflowAlreadyStartedError:
            return None

    def _give_up(self, shard: Shard, error: str) -> None:
        self.lost.add(shard.number)
        for server in shard.servers:
            if server not in self.state.ledger.statuses:
                self.state.end_without_work(server, ServerStatus.UNKNOWN, error)
        self.note_ran(shard)
        self.on_loss(shard)

    def _request(self, shard: Shard) -> ShardRequest:
        state = self.state
        together = sum(1 for other in self.shards if other.first == shard.first)
        return ShardRequest(
            rollout_id=state.rollout_id,
            run_id=state.run_id,
            number=shard.number,
            plan=plan_of_shard(
                state.plan, shard, with_params=state.reference is None, together=together
            ),
            reference=state.reference,
            fleet=len(state.plan.servers),
            quick_types=state.quick_types,
        )


def _summary(shard: Shard) -> str:
    first, last = shard.servers[0], shard.servers[-1]
    several = shard.last > shard.first
    batches = (
        f"batches {shard.first + 1} to {shard.last + 1}" if several else f"batch {shard.first + 1}"
    )
    return f"{batches}: {len(shard.servers)} servers, {first} to {last}"[:200]
