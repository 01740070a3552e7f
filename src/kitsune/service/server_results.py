"""What one server did for a rollout, read from the end of its own workflow."""

from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.service import RPCError

from kitsune import names
from kitsune.models.results import ServerResult

_CALL = timedelta(seconds=5)


async def result_of_child(client: Client, rollout_id: str, server_id: str) -> ServerResult | None:
    """Return how a server ended for a rollout that may go on; None where that is not known.

    Only the last rollout that a server took part in can be read so.

    Raises:
        RPCError: Temporal does not answer.
    """
    handle = client.get_workflow_handle(names.server_execution_id(server_id))
    try:
        seen = await handle.describe(rpc_timeout=_CALL)
    except RPCError as error:
        if error.status.name == "NOT_FOUND":
            return None
        raise
    if rollout_id not in (seen.root_id, seen.parent_id):
        return None
    if seen.status is WorkflowExecutionStatus.RUNNING:
        return None
    ended = client.get_workflow_handle(seen.id, run_id=seen.run_id)
    try:
        return _read(await ended.result(rpc_timeout=_CALL))
    except WorkflowFailureError as error:
        details = getattr(error.cause, "details", ())
        return _read(details[0]) if details else None


def _read(said: Any) -> ServerResult | None:
    try:
        return ServerResult.model_validate(said)
    except ValidationError:
        return None
