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

from kitsune.errors import Conflict
from kitsune.models.orders import Order

_CALL = timedelta(seconds=5)


class Accepted(StrEnum):
    """How an order arrived."""

    DONE = "accepted"
    """The rollout has taken it up."""
    ON_RECORD = "onRecord"
    """No orchestration worker answers; the next one will take it up."""


@dataclass(frozen=True)
class Answer:
    """What a rollout said to an order.

    Attributes:
        text: Its own words, as in `already paused`; empty while the order is only on record.
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
    except WorkflowUpdateFailedError as error:
        why = getattr(error.cause, "message", None) or str(error.cause)
        raise Conflict(f"rollout {handle.id!r} refuses: {verb}: {why}") from error
    return Answer(Accepted.DONE, said)
