"""A server is called absent only where nobody answers, and a slip in its name gets the nearest local worker."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from kitsune.errors import ServerAway, TooOld
from kitsune.service import presence
from kitsune.service.listing import FleetRows, WorkerRow
from kitsune.service.presence import Absence, find_absent

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


class World:
    """Knows who has reported, who answers all the same, and where rollouts once ran; a client as far as is needed."""

    def __init__(self):
        self.reported, self.answering, self.ran, self.asked = {}, {}, set(), []

    async def list_workers(self, _client, *, now):
        rows = [
            WorkerRow(name, "1@x", "h", "1", now, state) for name, state in self.reported.items()
        ]
        return FleetRows(servers=rows)

    async def ask_what_it_can(self, _client, server_id, *, patience):
        assert patience.total_seconds() == 1
        self.asked.append(server_id)
        trouble = self.answering.get(server_id, ServerAway(server_id))
        if trouble is not None:
            raise trouble

    async def list_workflows(self, query, *, limit):
        assert limit == 1
        for server in self.ran:
            if query == f"WorkflowId = 'exec-{server}'":
                yield SimpleNamespace(id=f"exec-{server}")


@pytest.fixture
def world(monkeypatch):
    world = World()
    monkeypatch.setattr(presence, "list_workers", world.list_workers)
    monkeypatch.setattr(presence, "ask_what_it_can", world.ask_what_it_can)
    return world


async def absent(world, *servers):
    return await find_absent(world, servers, now=NOW)


async def test_servers_that_report_are_not_asked(world):
    world.reported = {"web-1": "online", "web-2": "online"}
    assert await absent(world, "web-1", "web-2") == []
    assert world.asked == []


async def test_one_that_has_just_started_answers_before_it_reports(world):
    world.answering = {"web-1": None}
    assert await absent(world, "web-1") == []


@pytest.mark.parametrize("trouble", [ServerAway("web-1", why="its disk is full"), TooOld("old")])
async def test_one_that_answers_with_trouble_is_there(world, trouble):
    world.answering = {"web-1": trouble}
    assert await absent(world, "web-1") == []


async def test_a_slip_gets_the_nearest_name_that_is_not_in_the_plan_itself(world):
    world.reported = {"web-1": "online", "web-2": "online", "db": "stopped"}
    assert await absent(world, "web-1", "wbe-2") == [Absence("wbe-2", known=False, near="web-2")]
    assert await absent(world, "web-1", "web-2", "web-9") == [Absence("web-9", known=False)]


@pytest.mark.parametrize("state", ["silent", "stopped", "stopping"])
async def test_one_that_was_heard_of_is_known_and_away(world, state):
    world.reported = {"web-1": state, "web-2": "online"}
    assert await absent(world, "web-1") == [Absence("web-1", known=True)]


async def test_one_on_which_a_rollout_ran_is_known_and_away(world):
    world.ran = {"web-1"}
    assert await absent(world, "web-1", "web-3") == [
        Absence("web-1", known=True),
        Absence("web-3", known=False),
    ]


async def test_of_many_only_the_first_are_asked(world):
    assert len(await absent(world, *(f"s{n}" for n in range(400)))) == 50
    assert len(world.asked) == 50
