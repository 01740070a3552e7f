"""Asks which rollouts are not over: their steps may be handed out again, or undone."""

from collections.abc import Sequence
from datetime import timedelta

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

_ANSWER_WITHIN = timedelta(seconds=5)
#: So many are asked about at once; the others wait for the next time.
_MOST = 200


async def find_open_rollouts(client: Client, rollout_ids: Sequence[str]) -> set[str]:
    """Return those rollouts that are not known to be over; all that is left where Temporal does not answer."""
    not_over = set(rollout_ids)
    for rollout_id in rollout_ids[:_MOST]:
        try:
            found = await client.get_workflow_handle(rollout_id).describe(
                rpc_timeout=_ANSWER_WITHIN
            )
        except RPCError as error:
            # An overloaded server says that its namespace is not found.
            if error.status is not RPCStatusCode.NOT_FOUND or "amespace" in error.message:
                break  # it would not answer about the next one either
        else:
            if found.status is WorkflowExecutionStatus.RUNNING:
                continue
        not_over.discard(rollout_id)
    return not_over
