"""Servers are known by their workers and by what rollouts did on them, and say what holds them."""

import asyncio
from datetime import UTC, datetime

import pytest

from kitsune.service.fleet import Fleet
from kitsune.service.presence import _has_run
from support.bench import plan_of

pytestmark = pytest.mark.server


async def row_of(fleet, server_id, holds):
    """Wait until the list says something about a server: Temporal's lists lag a little."""
    async with asyncio.timeout(30):
        while True:
            found = await fleet.inventory(now=datetime.now(UTC), ask=True)
            rows = [row for row in found.servers if row.server_id == server_id]
            if rows and holds(rows[0]):
                return rows[0]
            await asyncio.sleep(0.1)


async def test_a_server_says_what_holds_it_and_stays_known_when_its_worker_is_gone(bench, client):
    fleet = Fleet(client)
    wire = await bench.start_separate_server("a")
    handle = await bench.start(plan_of("a", hold="a"))
    await bench.until(lambda: bench.probe.count("execute", "two") == ["a"])
    server = bench.id_of("a")
    held = await row_of(fleet, server, lambda row: row.holder)
    assert held.holder == held.last_rollout == handle.id
    bench.probe.released.set()
    await bench.end_of(handle)
    wire.cut()
    free = await row_of(fleet, server, lambda row: not row.holder)
    assert free.last_rollout == handle.id
    assert free.heard_at is not None


async def test_a_server_that_nobody_serves_is_told_from_one_that_has_just_started(bench, client):
    fleet = Fleet(client)
    await bench.start_separate_server("a")
    here, slip = bench.id_of("a"), f"{bench.id_of('a')}x"
    found = await fleet.absent([here, slip], now=datetime.now(UTC))
    assert [(each.server_id, each.known) for each in found] == [(slip, False)]
    await bench.end_of(await bench.start(plan_of("a")))
    await row_of(fleet, here, lambda row: row.last_rollout)
    assert await _has_run(client, here)
