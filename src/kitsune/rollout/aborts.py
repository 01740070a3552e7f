"""Orders to abort, as they come in: a person meant "stop", however the order was written."""

from typing import Any

from pydantic import ValidationError

from kitsune.models.requests import AbortRequest
from kitsune.rollout.bounds import shorten

_LONGEST_REASON, _LONGEST_ACTOR = 500, 100


def read_abort(argument: Any) -> AbortRequest:
    """Return the order that an argument means: an object, or any other value as the reason."""
    if argument is None:
        return AbortRequest()
    try:
        request = AbortRequest.model_validate(argument)
    except ValidationError:
        request = AbortRequest(reason=argument if isinstance(argument, str) else "")
    return request.model_copy(
        update={
            "reason": shorten(request.reason, _LONGEST_REASON),
            "actor": shorten(request.actor, _LONGEST_ACTOR),
        }
    )


def merged_aborts(first: AbortRequest | None, second: AbortRequest) -> AbortRequest:
    """Return the first order; a later one may still add the rollback."""
    if first is None:
        return second
    return first.model_copy(update={"rollback": first.rollback or second.rollback})
