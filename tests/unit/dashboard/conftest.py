"""The dashboard in the test's process, over a fleet without Temporal."""

from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.routing import Route

from kitsune.dashboard.app import create_app
from kitsune.dashboard.settings import DashboardSettings
from kitsune.dashboard.users import entry_text
from support.fake_fleet import FakeFleet, FakeRollout
from support.logins import HASH


async def tell_user(request):
    return JSONResponse([request.user.display_name, request.user.role.word])


@pytest.fixture
def rollout():
    return FakeRollout("web-1", "a", "b", "c")


@pytest.fixture
def fleet(rollout):
    return FakeFleet(rollout)


@pytest.fixture
def serve(fleet):
    """Return a client of a dashboard with these settings; `peer` is where its requests come from."""

    @asynccontextmanager
    async def serving(*, peer="127.0.0.1", base="http://127.0.0.1", **settings):
        app = create_app(DashboardSettings(**settings), fleet)
        transport = httpx.ASGITransport(app=app, client=(peer, 4711), raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url=base) as client,
        ):
            client.app = app
            app.router.routes.append(Route("/probe", tell_user, methods=["GET", "POST"]))
            yield client

    return serving


@pytest.fixture
def users_file(tmp_path):
    path = tmp_path / "users.toml"
    path.touch(mode=0o600)
    roles = {"vera": "viewer", "otto": "operator", "anna": "approver"}
    path.write_text(
        "".join(entry_text(name, role=role, password_hash=HASH) for name, role in roles.items())
    )
    return path


@pytest.fixture
def local(users_file):
    """Settings of a dashboard with a login."""
    return {"authentication": "local", "users_file": users_file}
