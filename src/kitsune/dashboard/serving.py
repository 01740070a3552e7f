"""Serving the dashboard until a signal comes; streams end first, so that browsers do not hold it up."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from kitsune.dashboard.connections import IDLE_WITHIN, LONGEST_HEAD, MOST, BoundedProtocol
from kitsune.dashboard.settings import DashboardSettings, is_wildcard
from kitsune.errors import DashboardRefused

_GRACE = 5


class _Server(uvicorn.Server):
    """A server that leaves signals to the command, and says when it answers."""

    def __init__(self, config: uvicorn.Config, *, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield


def listen(settings: DashboardSettings) -> socket.socket:
    """Return a socket that listens where the settings say.

    Raises:
        DashboardRefused: The port is taken, or the address is not ours.
    """
    host = settings.host.strip("[]")
    try:
        found = socket.getaddrinfo(
            host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = found[0]
        listener = socket.create_server(address[:2], family=family, backlog=256)
    except OSError as error:
        raise DashboardRefused(
            f"cannot listen on {host}:{settings.port}: {(error.strerror or str(error)).lower()}; "
            "give another --port, or --port 0 for any free one"
        ) from error
    listener.setblocking(False)  # noqa: FBT003 - the socket's own signature
    return listener


def url_of(settings: DashboardSettings, listener: socket.socket) -> str:
    """Return where browsers find it."""
    host, port = listener.getsockname()[:2]
    if is_wildcard(host) and settings.allowed_hosts:
        host = settings.allowed_hosts[0]
    shown = f"[{host}]" if ":" in host else host
    return settings.public_url or f"{'https' if settings.has_tls else 'http'}://{shown}:{port}"


async def serve(
    app: Starlette,
    settings: DashboardSettings,
    listener: socket.socket,
    *,
    ready: Callable[[], None],
) -> None:
    """Serve until cancelled; `ready` is called when it answers.

    Raises:
        DashboardRefused: The certificate or its key cannot be used.
    """
    server = _Server(_config(app, settings), ready=ready)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    finally:
        await app.state.board.close()
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)


def _config(app: Starlette, settings: DashboardSettings) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # `identity` decides whom to believe
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        limit_concurrency=MOST,
        timeout_keep_alive=IDLE_WITHIN,
        timeout_graceful_shutdown=_GRACE,
        h11_max_incomplete_event_size=LONGEST_HEAD,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise DashboardRefused(
            f"the TLS certificate or its key cannot be used: {error.strerror or error}"
        ) from error
    if config.ssl:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return config
