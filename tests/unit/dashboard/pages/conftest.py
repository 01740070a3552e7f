"""The dashboard's pages over a board that is made by hand."""

import httpx
import pytest

from kitsune.dashboard.app import create_app
from kitsune.dashboard.settings import DashboardSettings


@pytest.fixture
def open_pages():
    """Return a browser without JavaScript, given a board and a fleet."""

    def open_them(board, fleet):
        app = create_app(DashboardSettings(), fleet)
        app.state.board = board
        transport = httpx.ASGITransport(app=app)
        client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
        client.app = app
        return client

    return open_them
