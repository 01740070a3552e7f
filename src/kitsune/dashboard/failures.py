"""What goes wrong in a handler, as an answer: the status, and one sentence for people."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from kitsune.dashboard.security import MAX_BODY, TooLarge, TooSlow, refusal
from kitsune.errors import (
    BadQuery,
    BadRequest,
    Conflict,
    KitsuneError,
    NotAllowed,
    NotFound,
    PlanRefused,
    PlanUnreadable,
    ServerAway,
    ServerUnavailable,
    TooOld,
)

STATUS: Final[Mapping[type[KitsuneError], int]] = {
    BadRequest: 400,
    BadQuery: 400,
    NotAllowed: 403,
    NotFound: 404,
    Conflict: 409,
    PlanRefused: 422,
    PlanUnreadable: 422,
    ServerUnavailable: 503,
    ServerAway: 503,
    TooOld: 501,
}


def status_of(error: KitsuneError) -> int:
    """Return the HTTP status of an error."""
    return next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)


def exception_handlers() -> dict[Any, Any]:
    """Return what turns errors into answers."""
    return {
        KitsuneError: _kitsune_error,
        HTTPException: _http_error,
        TooLarge: _too_large,
        TooSlow: _too_slow,
    }


async def _kitsune_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, KitsuneError)  # noqa: S101 - what it is registered for
    return refusal(request.scope, str(error), status=status_of(error))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    answer = refusal(request.scope, error.detail.lower(), status=error.status_code)
    answer.headers.update(error.headers or {})
    return answer


async def _too_large(request: Request, _error: Exception) -> Response:
    return refusal(request.scope, f"too large: at most {MAX_BODY:,} bytes", status=413)


async def _too_slow(request: Request, _error: Exception) -> Response:
    return refusal(request.scope, "the request did not come to its end in time", status=408)
