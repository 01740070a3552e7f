"""Asks Temporal whether a step that was handed out is still wanted, before it begins.

A step can reach its handler long after it was handed out: through a line that was broken, or in a process that was
frozen. Its rollout may have given this server up by then, or been aborted.
"""

import time
from datetime import timedelta

from temporalio import activity
from temporalio.client import AsyncActivityCancelledError, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from kitsune.errors import CancelledBefore, NotWanted

_ANSWER_WITHIN = timedelta(seconds=10)
#: So long the answer about a workflow holds for the local activities that follow each other in its task.
_HOLDS_SECONDS = 2.0
_LATE = "not begun: it came too late, its rollout waits for it no more"
_CANCELLED = "not begun: it was cancelled before"


class Wanted:
    """Asks about the activity that calls it."""

    def __init__(self) -> None:
        self._confirmed = ("", 0.0)

    async def confirm(self, *, cancelled: bool = False) -> None:
        """Do nothing, where the current activity still counts.

        Args:
            cancelled: Its workflow knows already that it does not; a held answer may be older than that.

        Raises:
            CancelledBefore: It was cancelled before it began.
            NotWanted: It does not, or Temporal does not say; a delivery that counts will follow if there is to be one.
        """
        if cancelled:
            raise CancelledBefore(_CANCELLED)
        try:
            if activity.info().is_local:
                await self._confirm_workflow()
            else:
                await _confirm_delivery()
        except AsyncActivityCancelledError as error:
            raise CancelledBefore(_CANCELLED) from error
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise NotWanted(_LATE) from error
            raise NotWanted(
                f"not begun: Temporal does not say whether it is still wanted ({error.message})"
            ) from error

    async def _confirm_workflow(self) -> None:
        """Ask about the workflow whose task a local activity is a part of: of the activity Temporal does not know yet."""
        info = activity.info()
        run_id, now = info.workflow_run_id or "", time.monotonic()
        last_run_id, last = self._confirmed
        if last_run_id == run_id and now - last < _HOLDS_SECONDS:
            return
        handle = activity.client().get_workflow_handle(info.workflow_id or "", run_id=run_id)
        found = await handle.describe(rpc_timeout=_ANSWER_WITHIN)
        if found.status is not WorkflowExecutionStatus.RUNNING:
            raise NotWanted(_LATE)
        if found.raw_description.workflow_extended_info.cancel_requested:
            raise CancelledBefore(_CANCELLED)
        self._confirmed = (run_id, now)


async def _confirm_delivery() -> None:
    """Ask about an activity by telling Temporal that it is alive."""
    handle = activity.client().get_async_activity_handle(task_token=activity.info().task_token)
    await handle.heartbeat(rpc_timeout=_ANSWER_WITHIN)
