"""Watching servers in flight, and closing the children of those whose agent stays away."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, CancelledError
from temporalio.workflow import ActivityCancellationType, ActivityHandle

from kitsune import names
from kitsune.models.progress import Phase
from kitsune.models.requests import AwayServer, TerminateRequest, WatchReport, WatchRequest
from kitsune.workflows.state import RolloutState

_SHORT = timedelta(seconds=30)
_FOR_EVER = timedelta(days=3650)
_HEARTBEAT = timedelta(seconds=45)
#: Pause where a server that had looked away was back by the time it was looked at again.
_LOOK_AGAIN = timedelta(seconds=5)
#: Silence that is enough once everything is being ended: nobody waits for those who cannot hear it.
_WHEN_CANCELLED = timedelta(seconds=10)
#: Silence that is enough while servers are undone: those that are away are waited for apart from the others.
_WHEN_UNDOING = timedelta(seconds=60)


@dataclass
class Watch:
    """Looks after the servers in flight; nobody else can end the children of dead agents.

    Attributes:
        in_flight: Says which servers have a child now.
    """

    state: RolloutState
    in_flight: Callable[[], Collection[str]]
    _task: "asyncio.Task[None] | None" = None
    _handle: ActivityHandle[WatchReport] | None = None
    _asked_for: timedelta = timedelta(0)
    _closed: bool = False

    def start(self) -> None:
        """Watch from now on; a second call changes nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._watch())

    def close(self) -> None:
        """End the watch; nothing is in flight any more."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()

    def hurry(self) -> None:
        """Look with less patience where the rollout has less by now."""
        handle = self._handle
        if handle is None or self._asked_for <= self._patience:
            return
        if workflow.patched("watch-hurries"):
            handle.cancel()

    @property
    def _patience(self) -> timedelta:
        patience = self.state.plan.unreachable.patience
        if self.state.phase is Phase.ROLLING_BACK:
            return min(patience, _WHEN_UNDOING)
        return min(patience, _WHEN_CANCELLED) if self.state.cancels else patience

    async def _watch(self) -> None:
        while not self._closed:
            report = await self._look()
            if report is None:
                continue
            lost = [away for away in report.away if away.server_id in self.in_flight()]
            closed = await asyncio.gather(*(self._give_up(away) for away in lost))
            if not any(closed):
                await workflow.sleep(_LOOK_AGAIN)

    async def _look(self) -> WatchReport | None:
        """Return who is away, or None where the watch has to begin anew with less patience."""
        self._asked_for = self._patience
        self._handle = workflow.start_activity(
            names.WATCH_SERVERS,
            WatchRequest(rollout_id=workflow.info().workflow_id, timeout=self._asked_for),
            result_type=WatchReport,
            start_to_close_timeout=_FOR_EVER,
            heartbeat_timeout=_HEARTBEAT,
            retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=10)),
            cancellation_type=ActivityCancellationType.TRY_CANCEL,
            summary="watch the servers in flight",
        )
        try:
            return await self._handle
        except ActivityError as error:
            if isinstance(error.cause, CancelledError):
                return None
            raise
        finally:
            self._handle = None

    async def _give_up(self, away: AwayServer) -> bool:
        self.state.away[away.server_id] = away
        closed: bool = await workflow.execute_activity(
            names.TERMINATE_SERVER,
            TerminateRequest(
                server_id=away.server_id,
                rollout_id=workflow.info().workflow_id,
                since=away.since,
                failing=away.failing,
                reason=f"given up by rollout {self.state.rollout_id}: {away.detail}",
            ),
            result_type=bool,
            start_to_close_timeout=_SHORT,
            summary=f"give up {away.server_id}"[:200],
        )
        if not closed:
            self.state.away.pop(away.server_id, None)
        return closed
