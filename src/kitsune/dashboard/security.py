"""What every request has to pass before anybody looks at who sends it: host, origin, size; and the headers of answers."""

import asyncio
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Bytes of a request at most: a plan file may have 2 MiB, and a form adds a little.
MAX_BODY: Final = 3 * 1024 * 1024
#: Seconds between two pieces of a request's body at most.
BODY_WITHIN: Final = 20.0
#: Nothing inline, nothing evaluated, nothing from elsewhere.
_SOURCES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}
POLICY: Final = "; ".join(f"{name} {value}" for name, value in _SOURCES.items())
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_HSTS = "max-age=31536000"
#: A name or an address, and a port: no user before it, no path behind it.
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d*)?")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = frozenset({"GET", "HEAD", "POST"})


def host_of(header: str) -> str:
    """Return the host of a Host header without its port, in lower case; empty where it is none."""
    found = _HOST.fullmatch(header)
    return found["name"].strip("[]").lower() if found else ""


def is_cross_site(method: str, headers: Headers) -> bool:
    """Return whether a browser sends a request that changes something for another site's page.

    Browsers say with `Sec-Fetch-Site` where a request comes from; older ones say at least its `Origin`.
    What says neither is no browser, and has no cookies that a page could abuse.
    """
    if method in _SAFE:
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        asked_from = urlsplit(origin).netloc.lower()
    except ValueError:  # no browser sends such a thing
        return True
    return asked_from != headers.get("host", "").lower()


def refusal(
    scope: Scope, text: str, *, status: int, problems: Sequence[Mapping[str, Any]] = ()
) -> Response:
    """Return an answer that only says why not: for the API as RFC 9457 has it, else as text."""
    if not scope["path"].startswith("/api/"):
        return PlainTextResponse(f"{text}\n", status)
    said = {"title": HTTPStatus(status).phrase, "status": status, "detail": text}
    body = said | {"problems": list(problems)}
    return JSONResponse(body, status, media_type="application/problem+json")


_LOG = logging.getLogger(__name__)


class Guard:
    """Middleware: refuses what no page of ours and no honest client sends, and sets the headers of every answer.

    Args:
        app: What comes next.
        hosts: Names by which the dashboard may be asked. Any other one may be a page that has its own name lead here.
        secure: Whether browsers reach it by https.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], secure: bool) -> None:
        self._app, self._hosts = app, frozenset(hosts)
        self._headers = HEADERS | ({"Strict-Transport-Security": _HSTS} if secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                if "cache-control" not in headers:
                    public = scope["path"].startswith("/static/")
                    headers["Cache-Control"] = "no-cache" if public else "no-store"
            await send(message)

        answer = self._refuse(scope)
        if answer is not None:
            await answer(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, _bounded(receive), send_with_headers)
        except Exception:
            if started:
                raise  # too late for another answer: the server closes the connection
            _LOG.exception("%s %s failed", scope["method"], scope["path"])
            text = "a bug in Kitsune: see the dashboard's log"
            await refusal(scope, text, status=500)(scope, receive, send_with_headers)

    def _refuse(self, scope: Scope) -> Response | None:
        headers, method = Headers(scope=scope), scope["method"]
        host = headers.get("host", "")
        if host_of(host) not in self._hosts:
            text = (
                f"this dashboard is not called {host[:100]!r}: see --allowed-host and --public-url"
            )
            return refusal(scope, text, status=421)
        if method not in _METHODS:
            answer = refusal(scope, f"not a method of this dashboard: {method[:20]}", status=405)
            answer.headers["Allow"] = "GET, HEAD, POST"
            return answer
        if is_cross_site(method, headers):
            return refusal(scope, "refused: the request comes from another site", status=403)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY:
            return refusal(scope, f"too large: at most {MAX_BODY:,} bytes", status=413)
        return None


class TooLarge(Exception):
    """A request without a length turned out to be too large."""


class TooSlow(Exception):
    """A request did not come to its end in time."""


def _bounded(receive: Receive) -> Receive:
    """Bound a body in size and time; what comes after it, such as the news that a client has left, is waited for."""
    seen, complete = 0, False

    async def receive_bounded() -> Message:
        nonlocal seen, complete
        try:
            async with asyncio.timeout(None if complete else BODY_WITHIN):
                message = await receive()
        except TimeoutError as error:
            raise TooSlow from error
        seen += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if seen > MAX_BODY:
            raise TooLarge
        return message

    return receive_bounded
