"""Orders as they come in, from our command line or by hand: read, bounded, and refused where they are nonsense."""

from typing import Any

from pydantic import ValidationError

from kitsune import names
from kitsune.models.orders import (
    ApproveOrder,
    Order,
    PauseOrder,
    ResumeOrder,
    ServerOrder,
    SetOrder,
)
from kitsune.models.problems import show_value
from kitsune.models.sizes import LARGEST, check_limit
from kitsune.rollout.aborts import read_abort
from kitsune.rollout.bounds import shorten

_LONGEST_REASON, _LONGEST_ACTOR = 500, 100
_MODELS: dict[str, type[Order]] = {
    names.PAUSE: PauseOrder,
    names.RESUME: ResumeOrder,
    names.APPROVE: ApproveOrder,
    names.RETRY: ServerOrder,
    names.SKIP: ServerOrder,
    names.ROLLBACK: ServerOrder,
    names.SET: SetOrder,
}
#: What a bare text means, where it is not the reason.
_TEXT_MEANS = {
    names.APPROVE: "gate",
    names.RETRY: "serverId",
    names.SKIP: "serverId",
    names.ROLLBACK: "serverId",
}
#: Every order, and what obeys it.
VERBS = (names.ABORT, *_MODELS)


def read_order(verb: str, argument: Any) -> Order:
    """Return the order that an argument means: an object, nothing, or a text by itself.

    An abort or a pause is never refused for how it was written: a person meant "stop".

    Raises:
        ValueError: The argument makes no sense for this order; the text says what would.
    """
    if verb == names.ABORT:
        return read_abort(argument)
    model = _MODELS[verb]
    if isinstance(argument, str):
        argument = {_TEXT_MEANS.get(verb, "reason"): argument}
    try:
        order = model.model_validate({} if argument is None else argument)
    except ValidationError as error:
        if verb == names.PAUSE:
            return PauseOrder()
        wrong = "; ".join(
            f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()
        )
        raise ValueError(f"not what {verb} takes: {wrong}") from error
    if isinstance(order, SetOrder):
        _check_limits(order)
    return order.model_copy(
        update={
            "reason": shorten(order.reason, _LONGEST_REASON),
            "actor": shorten(order.actor, _LONGEST_ACTOR),
        }
    )


def _check_limits(order: SetOrder) -> None:
    if order.max_failures is None and order.max_concurrency is None:
        raise ValueError("nothing to set: give maxFailures, maxConcurrency or both")
    if order.max_failures is not None:
        check_limit(order.max_failures)
    if order.max_concurrency is not None and not 1 <= order.max_concurrency <= LARGEST:
        shown = show_value(order.max_concurrency)
        raise ValueError(f"not a maxConcurrency: {shown} (write 1 or more)")
