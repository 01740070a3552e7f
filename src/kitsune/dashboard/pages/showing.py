"""What every page shares: who looks, what was said last, what is wrong; and errors as pages."""

import functools
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kitsune.dashboard.addresses import segment_of
from kitsune.dashboard.failures import status_of
from kitsune.dashboard.rendering import ENVIRONMENT, render
from kitsune.dashboard.views.times import hour, stamp
from kitsune.errors import KitsuneError

Handler = Callable[[Request], Awaitable[Response]]
_FLASH = "kitsune-flash"
_LONGEST_FLASH = 1500
_TITLES = {
    400: "That makes no sense",
    403: "Not allowed",
    404: "Not found",
    409: "Refused",
    422: "Refused",
    503: "Temporal does not answer",
}

ENVIRONMENT.filters.update(
    stamp=stamp,
    segment=segment_of,
    hour=lambda moment: hour(moment, now()),
    pattern=lambda text: re.sub(r"[^A-Za-z0-9_ -]", lambda found: f"\\{found[0]}", text),
)


@dataclass(frozen=True)
class Flash:
    """What became of the last order; shown once."""

    text: str
    tone: str


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def show(request: Request, template: str, *, status: int = 200, **context: Any) -> Response:
    """Return a page that says what became of the last order; see `render`."""
    flash = _said(request)
    answer = render(request, template, status=status, flash=flash, **context)
    if flash:
        answer.delete_cookie(_FLASH, path="/", httponly=True, samesite="strict")
    return answer


def go(request: Request, url: str, *, say: str, tone: str = "ok") -> Response:
    """Return the way to another page, which says something once."""
    answer = RedirectResponse(url, status_code=303)
    answer.set_cookie(
        _FLASH,
        quote(json.dumps([say[:_LONGEST_FLASH], tone])),
        max_age=60,
        path="/",
        secure=request.app.state.settings.is_secure,
        httponly=True,
        samesite="strict",
    )
    return answer


def rollout_url(rollout_id: str, *, server_id: str = "") -> str:
    """Return the address of a rollout, or of a server in it."""
    server = f"/servers/{quote(server_id, safe='')}" if server_id else ""
    return f"/rollouts/{segment_of(rollout_id)}{server}"


def page(handler: Handler) -> Handler:
    """Show what goes wrong in a handler as a page."""

    @functools.wraps(handler)
    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except KitsuneError as error:
            status = status_of(error)
            title = _TITLES.get(status, "It does not work")
            return show(request, "error.html", status=status, title=title, text=str(error))

    return guarded


def _said(request: Request) -> Flash | None:
    try:
        text, tone = json.loads(unquote(request.cookies.get(_FLASH, "")))
    except ValueError:
        return None
    known = isinstance(text, str) and tone in ("ok", "bad")
    return Flash(text[:_LONGEST_FLASH], tone) if known else None
