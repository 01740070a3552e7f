"""The application: routes, middleware, and the board that lives as long as it does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from kitsune.dashboard import health, pages, stream
from kitsune.dashboard.access import Access
from kitsune.dashboard.api import openapi
from kitsune.dashboard.attempts import Attempts
from kitsune.dashboard.board import Board
from kitsune.dashboard.event_streams import Streams
from kitsune.dashboard.failures import exception_handlers
from kitsune.dashboard.identity import Identity
from kitsune.dashboard.login import Login
from kitsune.dashboard.metrics import CountRequests, Figures
from kitsune.dashboard.rendering import FOLDER
from kitsune.dashboard.roster import Roster
from kitsune.dashboard.security import Guard
from kitsune.dashboard.sessions import Sessions
from kitsune.dashboard.settings import Authentication, DashboardSettings, check_settings
from kitsune.handlers.registry import load_handlers
from kitsune.service.connection import actor
from kitsune.service.fleet import Fleet


def create_app(settings: DashboardSettings, fleet: Fleet) -> Starlette:
    """Return the dashboard; handlers find `fleet`, `board`, `roster`, `registry` and `settings` in `request.app.state`.

    Args:
        settings: What it was told.
        fleet: The way to Temporal, which need not be there yet.

    Raises:
        DashboardRefused: The settings are not safe to start with.
    """
    check_settings(settings)
    sessions = Sessions()
    figures = Figures()
    identity = Identity(settings, sessions, somebody=actor())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with app.state.board:
            yield

    app = Starlette(
        routes=[
            *_routes(settings, Login(settings, identity, sessions, Attempts())),
            *(figures.routes() if settings.metrics else []),
        ],
        middleware=[
            Middleware(CountRequests, figures=figures),
            Middleware(Guard, hosts=settings.hosts, secure=settings.is_secure),
            Middleware(Access, identity=identity, settings=settings),
            Middleware(GZipMiddleware, minimum_size=2_000, compresslevel=5),
        ],
        exception_handlers=exception_handlers(),
        lifespan=lifespan,
    )
    app.state.settings, app.state.fleet, app.state.identity = settings, fleet, identity
    app.state.board, app.state.registry = Board(fleet), load_handlers()
    app.state.streams, app.state.roster = Streams(), Roster(fleet)
    return app


def _routes(settings: DashboardSettings, login: Login) -> list[BaseRoute]:
    return [
        *health.routes(),
        *(login.routes() if settings.authentication is Authentication.LOCAL else []),
        Mount("/static", StaticFiles(directory=FOLDER / "static"), name="static"),
        *openapi.routes(),
        *stream.routes(),
        *pages.routes(),
    ]
