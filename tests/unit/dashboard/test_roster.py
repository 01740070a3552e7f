"""The roster: the workers, asked for once for all who look."""

import asyncio

import pytest

from kitsune.dashboard.roster import Roster
from kitsune.errors import ServerUnavailable
from support.clock import Clock
from support.fake_fleet import FakeFleet


@pytest.fixture
def clock():
    return Clock()


async def test_all_who_look_within_five_seconds_share_one_question(clock):
    fleet = FakeFleet()
    roster = Roster(fleet, now=clock)
    await asyncio.gather(*(roster.workers() for _ in range(20)))
    clock.go_on(seconds=4)
    await roster.workers()
    assert fleet.calls == ["servers"]
    clock.go_on(seconds=1)
    assert (await roster.workers()).rows.servers[0].queue == "web-1"
    assert fleet.calls == ["servers", "servers"]


async def test_while_temporal_is_away_the_workers_that_were_known_are_shown(clock):
    fleet = FakeFleet()
    roster = Roster(fleet, now=clock)
    fleet.away = True
    with pytest.raises(ServerUnavailable, match="does not answer"):
        await roster.workers()
    fleet.away = False
    clock.go_on(seconds=5)
    before = await roster.workers()
    fleet.away = True
    clock.go_on(seconds=5)
    found = await roster.workers()
    assert (found.rows, found.at) == (before.rows, before.at)
    assert "does not answer since 12:03:16 UTC" in found.trouble
    fleet.away = False
    clock.go_on(seconds=5)
    assert (await roster.workers()).trouble is None
