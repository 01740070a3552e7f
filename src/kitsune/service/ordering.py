"""Giving a running rollout an order: as an update that answers, else as a signal that waits for a worker."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from temporalio.client import (
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.service import RPCError, RPCStatusCode

from kitsune.errors import Conflict
from kitsune.models.orders import Order

_CALL = timedelta(seconds=5)
#: What Temporal says where a workflow has taken 2,000 updates, or has ten at once in hand.
_NO_MORE_UPDATES = frozenset({RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.RESOURCE_EXHAUSTED})


class Accepted(StrEnum):
    """How an order arrived."""

    DONE = "accepted"
    """The rollout has taken it up."""
    ON_RECORD = "onRecord"
    """No orchestration worker answers; the next one will take it up."""
    SIGNALLED = "signalled"
    """The rollout takes no more updates, of which Temporal allows so many; it was told by a signal."""


@dataclass(frozen=True)
class Answer:
    """What a rollout said to an order.

    Attributes:
        text: Its own words, as in `already paused`; empty where it has not answered.
    """

    accepted: Accepted
    text: str = ""


async def give_order(handle: WorkflowHandle[Any, Any], verb: str, order: Order) -> Answer:
    """Give an order and return the answer.

    Raises:
        Conflict: The rollout refuses; the text says why.
        RPCError: Temporal is away, or the rollout is over.
    """
    try:
        said = await handle.execute_update(verb, order, result_type=str, rpc_timeout=_CALL)
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        # An update waits for a worker to take it; a signal is kept for whichever comes back.
        await handle.signal(verb, order, rpc_timeout=_CALL)
        return Answer(Accepted.ON_RECORD)
    except RPCError as error:
        if error.status not in _NO_MORE_UPDATES:
            raise
        # Whoever floods a rollout with updates must not take it out of its operators' hands.
        await handle.signal(verb, order, rpc_timeout=_CALL)
        return Answer(Accepted.SIGNALLED)
    except WorkflowUpdateFailedError as error:
        why = getattr(error.cause, "message", None) or str(error.cause)
        raise Conflict(f"rollout {handle.id!r} refuses: {verb}: {why}") from error
    return Answer(Accepted.DONE, said)
