"""Asks Temporal whether a step that was handed out is still wanted, before it begins.

A step can reach its handler long after it was handed out: through a line that was broken, or in a process that was
frozen. Its rollout may have given this server up by then, or been aborted.
"""

from datetime import timedelta

from temporalio import activity
from temporalio.client import AsyncActivityCancelledError
from temporalio.service import RPCError, RPCStatusCode

from kitsune.errors import NotWanted

_ANSWER_WITHIN = timedelta(seconds=10)


async def confirm_wanted() -> None:
    """Do nothing, where the delivery that the current activity works on still counts.

    Raises:
        NotWanted: It does not, or Temporal does not say; a delivery that counts will follow if there is to be one.
    """
    handle = activity.client().get_async_activity_handle(task_token=activity.info().task_token)
    try:
        await handle.heartbeat(rpc_timeout=_ANSWER_WITHIN)
    except AsyncActivityCancelledError as error:
        raise NotWanted("not begun: it was cancelled before") from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise NotWanted(
                "not begun: it came too late, its rollout waits for it no more"
            ) from error
        raise NotWanted(
            f"not begun: Temporal does not say whether it is still wanted ({error.message})"
        ) from error
