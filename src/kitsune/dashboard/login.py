"""The login page, and the way out."""

import asyncio
import logging
import math
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kitsune.dashboard.attempts import Attempts
from kitsune.dashboard.identity import Identity
from kitsune.dashboard.rendering import render
from kitsune.dashboard.sessions import LONGEST, Sessions
from kitsune.dashboard.settings import DashboardSettings

_LOG = logging.getLogger(__name__)
#: Passwords that are checked at once; each takes 64 MiB.
_AT_ONCE = 2
_WAITING = 20


class Login:
    """Routes `/login` and `/logout`.

    Args:
        settings: Whether cookies insist on https.
        identity: Knows users and cookies.
        sessions: Where sessions begin and end.
        attempts: Wrong passwords so far.
    """

    def __init__(
        self,
        settings: DashboardSettings,
        identity: Identity,
        sessions: Sessions,
        attempts: Attempts,
    ) -> None:
        self._settings, self._identity = settings, identity
        self._sessions, self._attempts = sessions, attempts
        self._checking = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/login", self.show, methods=["GET"]),
            Route("/login", self.log_in, methods=["POST"]),
            Route("/logout", self.log_out, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Show the page, or go on where somebody is logged in already."""
        back = local_path(request.query_params.get("next", "/"))
        if request.user is not None:
            return RedirectResponse(back, status_code=303)
        return self._page(request, back=back)

    async def log_in(self, request: Request) -> Response:
        """Check name and password and begin a session."""
        form = await request.form(max_files=0, max_fields=10, max_part_size=4096)
        name, password = str(form.get("name", "")), str(form.get("password", ""))
        back, address = local_path(str(form.get("next", "/"))), self._identity.address_of(request)
        wait = self._attempts.wait(user=name, address=address)
        if wait > timedelta() or self._waiting >= _WAITING:
            minutes = max(1, math.ceil(wait.total_seconds() / 60))
            text = f"too many tries: wait {minutes} minute{'' if minutes == 1 else 's'}"
            answer = self._page(request, back=back, error=text, status=429)
            answer.headers["Retry-After"] = str(minutes * 60)
            return answer
        # Counted before it is known: tries that come all at once count as well.
        self._attempts.failed(user=name, address=address)
        mark = await self._verify(name, password)
        if mark is None:
            _LOG.warning("login of %r from %s refused", name[:100], address)
            return self._page(request, back=back, error="wrong name or password", status=401)
        self._attempts.succeeded(user=name, address=address)
        _LOG.info("%s has logged in from %s", name, address)
        self._sessions.end(request.cookies.get(self._identity.cookie, ""))
        answer = RedirectResponse(back, status_code=303)
        answer.set_cookie(
            self._identity.cookie,
            self._sessions.begin(name, mark=mark),
            max_age=int(LONGEST.total_seconds()),
            secure=self._settings.is_secure,
            httponly=True,
            samesite="lax",
        )
        return answer

    async def log_out(self, request: Request) -> Response:
        """End the session."""
        self._sessions.end(request.cookies.get(self._identity.cookie, ""))
        answer = RedirectResponse("/login", status_code=303)
        answer.delete_cookie(
            self._identity.cookie, secure=self._settings.is_secure, httponly=True, samesite="lax"
        )
        return answer

    async def _verify(self, name: str, password: str) -> str | None:
        users = self._identity.users
        if users is None:
            return None
        self._waiting += 1
        try:
            async with self._checking:
                user = await asyncio.to_thread(users.verify, name, password)
        finally:
            self._waiting -= 1
        return user.mark if user else None

    def _page(self, request: Request, *, back: str, error: str = "", status: int = 200) -> Response:
        return render(request, "login.html", status=status, next=back, error=error)


def local_path(path: str) -> str:
    r"""Return where to go on after a login: a path of ours, never another site (`//evil`, `/\evil`)."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if plain and "\\" not in path and not path.startswith("/login") else "/"
