"""The board against a real Temporal: it serves before Temporal is there, while it is away, and after."""

import asyncio

import pytest

from kitsune.dashboard.board import Board
from kitsune.embedded.ports import free_port
from kitsune.embedded.server import EmbeddedServer
from kitsune.errors import ServerUnavailable
from kitsune.service.connection import connect_lazily
from kitsune.service.fleet import Fleet
from kitsune.service.options import ConnectionOptions
from kitsune.service.outcomes import Finished
from support.bench import connect, plan_of

pytestmark = pytest.mark.server


async def until(holds):
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.02)


async def until_seen(stream, holds):
    async with asyncio.timeout(60):
        async for seen in stream:
            if holds(seen):
                return seen
    raise AssertionError("it ended before")


async def test_a_board_outlives_temporal_and_shows_what_was_known(tmp_path):
    port = free_port()
    options = ConnectionOptions(address=f"127.0.0.1:{port}", namespace="default")
    async with Board(Fleet(await connect_lazily(options))) as board:
        assert f"Temporal at 127.0.0.1:{port} does not answer" in board.trouble
        with pytest.raises(ServerUnavailable, match="does not answer"):
            await board.rollout("web-1")
        server = EmbeddedServer(folder=tmp_path / "temporal", port=port)
        try:
            await server.start()
            client = await connect(server.address)
            await client.start_workflow(
                "OrchestrationWorkflow", plan_of(["a"]), id="web-1", task_queue="nobody"
            )
            await until(lambda: [row.rollout_id for row in board.rollouts().rows] == ["web-1"])
            assert board.trouble is None
            stream = board.watch("web-1")
            first = await until_seen(stream, lambda seen: True)
            assert "no orchestration worker answers" in first.trouble
            server.kill()
            await server.stop()
            lost = await until_seen(
                stream, lambda seen: "does not answer since" in str(seen.trouble)
            )
            assert (lost.row, lost.plan.servers) == (first.row, ["a"])
            await until(lambda: board.trouble and "showing what was known then" in board.trouble)
            assert [row.rollout_id for row in board.rollouts().rows] == ["web-1"]
            server = EmbeddedServer(folder=tmp_path / "temporal", port=port)
            await server.start()
            await until_seen(stream, lambda seen: "no orchestration worker" in str(seen.trouble))
            await until(lambda: board.trouble is None)
            await stream.aclose()
        finally:
            await server.stop()


async def test_a_board_follows_a_rollout_to_its_end(client, bench):
    await bench.start_servers("a", "b")
    handle = await bench.start(plan_of(["a", "b"], hold=["b"]))
    async with Board(Fleet(client)) as board:
        stream = board.watch(handle.id)
        seen = await until_seen(
            stream, lambda seen: seen.progress and seen.progress.counts.get("succeeded") == 1
        )
        assert (seen.trouble, seen.outcome) == (None, None)
        assert seen.plan.servers == [bench.id_of("a"), bench.id_of("b")]
        bench.probe.released.set()
        seen = await until_seen(stream, lambda seen: seen.outcome is not None)
        assert isinstance(seen.outcome, Finished)
        assert seen.outcome.result.success
        assert not seen.row.open
        await stream.aclose()
        await until(
            lambda: any(r.rollout_id == handle.id and not r.open for r in board.rollouts().rows)
        )
