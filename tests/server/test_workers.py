"""The workers: few pollers, one clear line when Temporal is lost and when it is back, a graceful end."""

import asyncio
import logging

import pytest

from kitsune.activities.agent import Agent
from kitsune.embedded.server import EmbeddedServer
from kitsune.handlers.registry import load_handlers
from kitsune.workers.local import make_local_worker
from kitsune.workers.supervision import keep_working
from support.bench import Bench, connect, plan_of

pytestmark = pytest.mark.server


async def test_an_agent_polls_as_little_as_it_can(client, tmp_path):
    agent = Agent.at(tmp_path, server_id="polls", registry=load_handlers())
    config = make_local_worker(client, agent).config()
    assert config["workflow_task_poller_behavior"].maximum == 2
    assert config["activity_task_poller_behavior"].maximum == 1


async def until_logged(caplog, words):
    async with asyncio.timeout(60):
        while not any(words in record.getMessage() for record in caplog.records):
            await asyncio.sleep(0.05)


async def test_losing_temporal_is_one_line_and_its_return_another(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="kitsune.worker")
    folder, ready = tmp_path / "temporal", tmp_path / "ready"
    stop = asyncio.Event()
    async with EmbeddedServer(folder=folder) as first:
        port, client = first.port, await connect(first.address)
        agent = Agent.at(tmp_path / "agent", server_id="lost", registry=load_handlers())
        working = asyncio.create_task(
            keep_working(
                lambda: make_local_worker(client, agent),
                client=client,
                stop=stop,
                doing="serving lost",
                ready_file=ready,
            )
        )
        await until_logged(caplog, "ready: serving lost")
        async with asyncio.timeout(60):
            while not ready.exists():
                await asyncio.sleep(0.05)
    await until_logged(caplog, "lost contact with Temporal")
    assert not ready.exists()
    async with EmbeddedServer(folder=folder, port=port):
        await until_logged(caplog, "restored")
        assert ready.exists()
        stop.set()
        await working
    await agent.journal.close()
    assert not ready.exists()
    said = [record.getMessage() for record in caplog.records if record.name == "kitsune.worker"]
    assert [line.split(":")[0].split(" at ")[0] for line in said] == [
        "ready",
        "lost contact with Temporal",
        "contact with Temporal",
        "stopping",
        "stopped",
    ]


async def test_a_worker_that_stops_leaves_an_honest_interruption_for_the_next(client, tmp_path):
    bench = Bench(client, tmp_path)
    await bench.start_orchestrator()
    agent = Agent.at(tmp_path / "a", server_id=bench.id_of("a"), registry=bench.registry)
    worker = make_local_worker(client, agent)
    async with worker:
        handle = await bench.start({**plan_of("a", hold="a"), "heartbeatTimeout": 3})
        await bench.until(lambda: bench.probe.count("execute", "two") == ["a"])
    again = Agent.at(tmp_path / "a", server_id=bench.id_of("a"), registry=bench.registry)
    async with make_local_worker(client, again):
        result = await bench.end_of(handle)
    step = result.results[0].steps_executed[1]
    assert step.status == "interrupted"
    assert step.error.startswith("interrupted: the local worker was stopped while the step ran")
    assert bench.probe.count("execute", "two") == ["a"]
    await bench.close()
    for one in (agent, again):
        await one.journal.close()


async def test_the_orchestrator_lets_go_of_its_watch_at_once_when_it_stops(client, tmp_path):
    bench = Bench(client, tmp_path)
    worker = await bench.start_orchestrator()
    await bench.start_servers("a")
    await bench.start(plan_of("a", hold="a"))
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a"])
    stopping = asyncio.create_task(worker.shutdown())
    # Its grace is 5 s; what only watches must not use it up.
    await asyncio.wait_for(asyncio.shield(stopping), 4)
    await bench.close()
