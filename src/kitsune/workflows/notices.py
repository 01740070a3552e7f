"""What the world outside is told of a rollout: figures, and webhooks where anybody wants them.

Each message is a child workflow of its own that the rollout neither waits for nor hears of: a receiver that is away
costs the rollout nothing, and the last message outlives it.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

from kitsune import names
from kitsune.models.notices import (
    Notice,
    NoticeEvent,
    NoticeRollout,
    NoticeServer,
    SendRequest,
    WebhookInterest,
)
from kitsune.models.results import RolloutResult, RolloutStatus
from kitsune.rollout.bounds import shorten
from kitsune.workflows.figures import Figures
from kitsune.workflows.state import RolloutState

#: Messages of one rollout, its end not counted: a history has its bounds, and so has a chat.
_MOST = 200
_LONGEST_TEXT = 500
_ENDS = {
    RolloutStatus.SUCCEEDED: NoticeEvent.SUCCEEDED,
    RolloutStatus.FAILED: NoticeEvent.FAILED,
    RolloutStatus.INCOMPLETE: NoticeEvent.INCOMPLETE,
    RolloutStatus.STOPPED: NoticeEvent.STOPPED,
    RolloutStatus.ABORTED: NoticeEvent.ABORTED,
}


class Notices:
    """Tells of one rollout; says nothing until it has begun."""

    def __init__(self) -> None:
        self._figures = Figures()
        self._webhooks: list[WebhookInterest] = []
        self._sent = 0
        self._starting = 0
        self._sending: set[asyncio.Task[None]] = set()
        self._paused = False
        self._gate: str | None = None
        self._held: set[tuple[str, int]] = set()

    def begin(self, state: RolloutState, webhooks: Sequence[WebhookInterest]) -> None:
        """Tell that a plan was accepted; from now on tell the receivers that `ValidatePlan` named."""
        self._figures.begin()
        # Without the patch: whoever took the answer before could not tell anybody.
        if webhooks and workflow.patched("webhooks"):
            self._webhooks = list(webhooks)
        self._tell(state, NoticeEvent.STARTED)

    def changed(self, state: RolloutState) -> None:
        """Tell what has become so since the last time."""
        self._figures.changed(state)
        if not self._webhooks:
            return
        if state.paused != self._paused:
            self._paused = state.paused
            event = NoticeEvent.PAUSED if state.paused else NoticeEvent.RESUMED
            if state.paused or not state.stopped:  # a stop lifts a pause, and tells of itself
                self._tell(state, event, **_by_last(state, event))
        gate = state.gate.id if state.gate else None
        if gate != self._gate:
            self._gate = gate
            if gate:
                self._tell(state, NoticeEvent.APPROVAL_NEEDED, gate=gate)
        for held in list(state.held.values()):
            if (held.server_id, held.generation) not in self._held:
                self._held.add((held.server_id, held.generation))
                server = NoticeServer(id=held.server_id, step=held.step)
                self._tell(state, NoticeEvent.SERVER_HELD, server=server)

    async def end(self, state: RolloutState, result: RolloutResult) -> None:
        """Tell how the rollout ended; return when the last message is on its own way."""
        self._figures.end(state, result)
        actor = result.actor if result.status is RolloutStatus.ABORTED else None
        self._tell(state, _ENDS[result.status], actor=actor)
        await self._let_start()

    async def refused(self, state: RolloutState) -> None:
        """Tell that the servers cannot run the plan."""
        self._figures.refused()
        self._tell(state, NoticeEvent.REFUSED)
        await self._let_start()

    def _tell(self, state: RolloutState, event: NoticeEvent, **told: Any) -> None:
        interested = [webhook.name for webhook in self._webhooks if event.value in webhook.events]
        is_end = event in _ENDS.values() or event is NoticeEvent.REFUSED
        if not interested or (self._sent >= _MOST and not is_end):
            return
        self._sent += 1
        notice = Notice(
            id=f"{state.run_id}.{self._sent}",
            event=event,
            at=workflow.now(),
            rollout=_rollout_of(state, over=is_end),
            **told,
        )
        for webhook in interested:
            self._starting += 1
            request = SendRequest(webhook=webhook, notice=notice)
            task = asyncio.create_task(self._send(request))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send(self, request: SendRequest) -> None:
        try:
            handle = await workflow.start_child_workflow(
                names.WEBHOOK_WORKFLOW,
                request,
                id=names.webhook_id(request.notice.id, request.webhook),
                task_queue=names.ORCHESTRATOR_QUEUE,
                cancellation_type=ChildWorkflowCancellationType.ABANDON,
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=f"tell {request.webhook}: {request.notice.event.value}"[:200],
            )
        except WorkflowAlreadyStartedError:
            return
        finally:
            self._starting -= 1
        with contextlib.suppress(FailureError):  # it has said so itself
            await handle

    async def _let_start(self) -> None:
        if self._starting:
            await workflow.wait_condition(lambda: self._starting == 0)


def _rollout_of(state: RolloutState, *, over: bool) -> NoticeRollout:
    results = state.results.values() if over else ()
    return NoticeRollout(
        id=state.rollout_id,
        name=state.plan.name,
        total=len(state.plan.servers),
        counts=dict(Counter(status.value for status in state.ledger.statuses.values())),
        reason=shorten(state.ledger.stop_reason, _LONGEST_TEXT),
        started_at=state.started_at,
        ended_at=workflow.now() if over else None,
        rolled_back=sum(found.rolled_back for found in results),
        rollback_failed=sum(found.rollback_failed for found in results),
        rollback_pending=sum(found.rollback_pending for found in results),
    )


def _by_last(state: RolloutState, event: NoticeEvent) -> dict[str, str | None]:
    """Return who ordered a pause or its end, and why."""
    verb = names.PAUSE if event is NoticeEvent.PAUSED else names.RESUME
    order = next((order for order in reversed(state.orders) if order.verb == verb), None)
    if order is None:
        return {}
    return {"actor": order.actor, "comment": shorten(order.reason, _LONGEST_TEXT) or None}
