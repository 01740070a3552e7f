"""Lets a request through when its sender is known and their role reaches that far; the one place that decides it."""

import logging
from urllib.parse import urlencode

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kitsune.dashboard.identity import Identity
from kitsune.dashboard.roles import role_for
from kitsune.dashboard.security import refusal
from kitsune.dashboard.settings import Authentication, DashboardSettings

_LOG = logging.getLogger(__name__)


class Access:
    """Middleware: sets `request.user`, and refuses whom it does not know or whose role is too small."""

    def __init__(self, app: ASGIApp, *, identity: Identity, settings: DashboardSettings) -> None:
        self._app, self._identity = app, identity
        self._by_login = settings.authentication is Authentication.LOCAL

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        needed = role_for(scope["method"], scope["path"])
        # A stream, or a page that refreshes itself, is no sign that somebody is there.
        by_itself = scope["path"].startswith("/stream/") or b"part=live" in scope["query_string"]
        touch = not by_itself
        user = self._identity.user_of(HTTPConnection(scope), touch=touch)
        scope["user"] = user
        if needed is None:
            await self._app(scope, receive, send)
        elif user is None:
            await self._stranger(scope)(scope, receive, send)
        elif not user.may(needed):
            _LOG.warning("%s may not %s %s", user.display_name, scope["method"], scope["path"])
            text = f"that needs the role {needed.word}; {user.display_name} has the role {user.role.word}"
            await refusal(scope, text, status=403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _stranger(self, scope: Scope) -> Response:
        if not self._by_login:
            return refusal(scope, "the proxy in front has not said who is asking", status=403)
        path = scope["path"]
        if path.startswith(("/api/", "/stream/")):
            return refusal(scope, "log in first", status=401)
        came_for = f"{path}?{scope['query_string'].decode('latin-1')}".rstrip("?")
        back = {"next": came_for} if scope["method"] == "GET" and path != "/" else {}
        return RedirectResponse(f"/login{'?' + urlencode(back) if back else ''}", status_code=303)
