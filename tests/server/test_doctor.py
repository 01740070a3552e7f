"""The doctor on a real Temporal server, and two hosts with one server id."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import Runtime, TelemetryConfig

from kitsune.activities.agent import Agent
from kitsune.handlers.registry import load_handlers
from kitsune.service.checks import Level
from kitsune.service.fleet import Fleet
from kitsune.workers.duplicates import DuplicateWatch, make_instance, serve_alone
from kitsune.workers.local import make_local_worker
from kitsune.workers.supervision import keep_working

pytestmark = pytest.mark.server


def by_check(findings):
    return {finding.check: finding for finding in findings}


async def examine(client, servers, *, ahead=timedelta(), timeout=timedelta(seconds=30)):
    found = await Fleet(client).examine(
        servers, now=lambda: datetime.now(UTC) + ahead, timeout=timeout
    )
    return by_check(found)


async def test_a_well_fleet_answers_and_a_clock_that_is_off_is_seen(bench, client):
    await bench.start_servers("a", "b")
    servers = [bench.id_of("a"), bench.id_of("b")]
    found = await examine(client, servers)
    assert found["temporal"].level is Level.OK
    assert found["agents"].seen == "2 of 2 answer"
    assert found["clocks"].level is Level.OK
    assert found["partitions"].level is Level.OK
    assert found["versions"].level is Level.OK
    off = await examine(client, servers, ahead=timedelta(hours=1))
    assert off["clocks"].level is Level.WARNING
    assert off["clocks"].servers == tuple(servers)


async def test_a_silent_server_is_a_problem(bench, client):
    await bench.start_servers("a")
    servers = [bench.id_of("a"), bench.id_of("gone")]
    found = await examine(client, servers, timeout=timedelta(seconds=5))
    assert found["agents"].level is Level.PROBLEM
    assert found["agents"].servers == (bench.id_of("gone"),)


class Host:
    """A local worker that believes to be on a host of its own."""

    def __init__(self, folder, address, server_id, key):
        self.folder, self.address, self.server_id = folder / key, address, server_id
        self.instance = make_instance(key * 12)
        self.stop = asyncio.Event()

    async def run(self):
        client = await Client.connect(
            self.address,
            identity=f"1@{self.server_id}@host#{self.instance}",
            data_converter=pydantic_data_converter,
            runtime=Runtime(
                telemetry=TelemetryConfig(), worker_heartbeat_interval=timedelta(seconds=1)
            ),
        )
        agent = Agent.at(
            self.folder, server_id=self.server_id, registry=load_handlers(), instance=self.instance
        )

        async def serve():
            await keep_working(
                lambda: make_local_worker(client, agent),
                client=client,
                stop=self.stop,
                doing=f"serving as {self.instance}",
            )

        watch = DuplicateWatch(client, self.server_id, doubt=6, look_every=2)
        try:
            return await serve_alone(watch, serve, stop=self.stop)
        finally:
            await agent.journal.close()


async def until_heard(client, server_id):
    async with asyncio.timeout(60):
        while server_id not in {
            row.queue for row in (await Fleet(client).servers(now=datetime.now(UTC))).servers
        }:
            await asyncio.sleep(0.2)


async def test_a_second_host_refuses_and_a_replaced_one_is_let_in(
    client, temporal_server, tmp_path
):
    server_id = f"twin-{uuid.uuid4().hex[:6]}"
    first = Host(tmp_path, temporal_server.address, server_id, "a")
    serving = asyncio.create_task(first.run())
    await until_heard(client, server_id)
    second = Host(tmp_path, temporal_server.address, server_id, "b")
    other = await second.run()
    assert other is not None
    assert first.instance in other.identity
    assert not serving.done()
    first.stop.set()
    assert await serving is None
    third = Host(tmp_path, temporal_server.address, server_id, "c")
    replacing = asyncio.create_task(third.run())
    async with asyncio.timeout(60):
        while (await examine(client, [server_id]))["agents"].level is not Level.OK:
            assert not replacing.done()
    third.stop.set()
    assert await replacing is None


async def test_of_two_hosts_that_start_together_the_later_one_gives_way(
    client, temporal_server, tmp_path
):
    server_id = f"pair-{uuid.uuid4().hex[:6]}"
    first = Host(tmp_path, temporal_server.address, server_id, "a")
    await asyncio.sleep(0.01)  # another moment of the start
    second = Host(tmp_path, temporal_server.address, server_id, "b")
    early, late = (asyncio.create_task(host.run()) for host in (first, second))
    async with asyncio.timeout(90):
        other = await late
    assert other is not None
    assert first.instance in other.identity
    assert not early.done()
    first.stop.set()
    assert await early is None
