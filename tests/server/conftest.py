"""Fixtures of the tests on a real Temporal server."""

import pytest

from support.bench import Bench, connect


@pytest.fixture
async def client(temporal_server):
    return await connect(temporal_server.address)


@pytest.fixture
async def bench(client, tmp_path):
    bench = Bench(client, tmp_path)
    await bench.start_orchestrator()
    yield bench
    await bench.close()
