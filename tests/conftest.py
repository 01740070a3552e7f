"""Fixtures that every folder of tests may use."""

import asyncio
import signal

import hypothesis
import pytest

from kitsune.embedded.server import EmbeddedServer

pytest_plugins = ["support.matrix_report"]

# How long an example takes says something about the machine, which others use as well, and nothing about us.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

# A shell starts what it runs in the background deaf to Ctrl-C, and so would be all that we start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def temporal_server():
    """A real Temporal server in memory, one per test process."""
    loop = asyncio.new_event_loop()
    server = EmbeddedServer()
    loop.run_until_complete(server.start())
    yield server
    loop.run_until_complete(server.stop())
    loop.close()
