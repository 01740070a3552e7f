"""Fixtures that every folder of tests may use."""

import asyncio

import pytest

from kitsune.embedded.server import EmbeddedServer

pytest_plugins = ["support.matrix_report"]


@pytest.fixture(scope="session")
def temporal_server():
    """A real Temporal server in memory, one per test process."""
    loop = asyncio.new_event_loop()
    server = EmbeddedServer()
    loop.run_until_complete(server.start())
    yield server
    loop.run_until_complete(server.stop())
    loop.close()
