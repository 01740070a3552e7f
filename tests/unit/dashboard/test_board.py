"""The board: one question for all who look, and the last that was known while nobody answers."""

import asyncio

import pytest

from kitsune.dashboard import board as module
from kitsune.dashboard.board import Board
from kitsune.errors import NotFound, ServerUnavailable
from kitsune.models.plan import RollbackOf
from support.clock import Clock
from support.fake_fleet import FakeFleet, FakeRollout


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def board(fleet, clock, monkeypatch):
    monkeypatch.setattr(module, "_TICK", 0.001)
    async with Board(fleet, now=clock) as board:
        yield board


async def until(holds):
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.001)


async def next_of(stream):
    async with asyncio.timeout(10):
        return await anext(stream)


async def test_all_who_look_at_once_share_one_question(board, fleet):
    found = await asyncio.gather(*(board.rollout("web-1") for _ in range(50)))
    assert len({id(each) for each in found}) == 1
    assert fleet.calls.count("find") == 1
    assert fleet.calls.count("look") == 1


async def test_what_nobody_looks_at_is_not_asked_for(board, fleet, clock):
    await board.rollout("web-1")
    asked = fleet.calls.count("look")
    clock.go_on(minutes=5)
    polled = fleet.calls.count("rollouts")
    await until(lambda: fleet.calls.count("rollouts") > polled)
    assert fleet.calls.count("look") == asked


async def test_the_list_is_asked_for_seldom_while_nobody_looks(board, fleet, clock):
    async def polls_within(seconds):
        before = fleet.calls.count("rollouts")
        for _ in range(seconds):
            clock.go_on(seconds=1)
            for _ in range(4):
                await asyncio.sleep(0.002)
        return fleet.calls.count("rollouts") - before

    assert await polls_within(30) <= 2
    board.rollouts()
    assert 5 <= await polls_within(20) <= 10


async def test_those_who_watch_see_each_change_and_the_end(board, rollout, clock):
    stream = board.watch("web-1")
    first = await next_of(stream)
    rollout.states["a"] = "running"
    clock.go_on(seconds=2)
    second = await next_of(stream)
    assert second.version == first.version + 1
    assert second.progress.servers[0].state == "running"
    rollout.end()
    clock.go_on(seconds=2)
    third = await next_of(stream)
    assert third.outcome.result.success
    await stream.aclose()


async def test_a_look_that_finds_nothing_new_wakes_nobody(board, fleet, clock):
    stream = board.watch("web-1")
    await next_of(stream)
    waiting = asyncio.ensure_future(anext(stream))
    for _ in range(3):
        asked = fleet.calls.count("look")
        clock.go_on(seconds=2)
        await until(lambda asked=asked: fleet.calls.count("look") > asked)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await stream.aclose()


async def test_one_who_reads_slowly_gets_the_newest_and_no_queue(board, rollout, clock, fleet):
    stream = board.watch("web-1")
    await next_of(stream)
    for state in ("running", "failed", "succeeded"):
        rollout.states["a"] = state
        asked = fleet.calls.count("look")
        clock.go_on(seconds=2)
        await until(lambda asked=asked: fleet.calls.count("look") > asked)
        await asyncio.sleep(0.01)
    assert (await next_of(stream)).progress.servers[0].state == "succeeded"
    await stream.aclose()


async def test_while_temporal_is_away_the_last_that_was_known_is_shown_with_its_time(
    board, fleet, clock
):
    before = await board.rollout("web-1")
    stream, rows = board.watch("web-1"), board.watch_rollouts()
    await next_of(stream)
    await next_of(rows)
    fleet.away = True
    clock.go_on(seconds=20)
    seen, listed = await next_of(stream), await next_of(rows)
    said = "Temporal at temporal.test:7233 does not answer since 12:03:11 UTC: showing what was known then"
    assert (seen.trouble, listed.trouble) == (said, said)
    assert (seen.progress, seen.at) == (before.progress, before.at)
    assert [row.rollout_id for row in listed.rows] == ["web-1"]
    assert board.trouble == said
    fleet.away = False
    clock.go_on(seconds=20)
    assert (await next_of(stream)).trouble is None
    assert (await next_of(rows)).trouble is None
    await stream.aclose()
    await rows.aclose()


async def test_a_dashboard_that_starts_before_temporal_serves_and_recovers_by_itself(clock):
    fleet = FakeFleet(FakeRollout("web-1", "a"))
    fleet.away = True
    async with Board(fleet, now=clock) as board:
        assert board.rollouts().rows == ()
        assert "does not answer" in board.trouble
        with pytest.raises(ServerUnavailable, match="does not answer"):
            await board.rollout("web-1")
        fleet.away = False
        clock.go_on(seconds=20)
        await until(lambda: board.trouble is None)
        assert [row.rollout_id for row in board.rollouts().rows] == ["web-1"]
        assert (await board.rollout("web-1")).trouble is None


async def test_while_no_orchestration_worker_answers_the_last_progress_is_shown(
    board, fleet, clock
):
    before = await board.rollout("web-1")
    clock.go_on(seconds=20)
    fleet.idle = True
    seen = await board.rollout("web-1")
    assert seen.progress == before.progress
    assert "no orchestration worker answers since 12:03:11 UTC" in seen.trouble
    fleet.idle = False
    clock.go_on(seconds=20)
    assert (await board.rollout("web-1")).trouble is None


async def test_a_rollout_that_there_is_not_is_said_to_be_not_there(board):
    with pytest.raises(NotFound):
        await board.rollout("nowhere")
    with pytest.raises(NotFound):
        await anext(board.watch("nowhere"))


async def test_a_rollout_that_temporal_has_forgotten_ends_what_watches_it(board, fleet, clock):
    stream = board.watch("web-1")
    await next_of(stream)
    del fleet.known["web-1"]
    clock.go_on(seconds=5)
    with pytest.raises(NotFound):
        await next_of(stream)


async def test_an_order_is_followed_by_a_look_at_once(board, rollout, fleet):
    await board.rollout("web-1")
    rollout.states["a"] = "running"
    assert (await board.rollout("web-1")).progress.servers[0].state == "pending"
    board.expire("web-1")
    assert (await board.rollout("web-1")).progress.servers[0].state == "running"


async def test_what_has_ended_is_not_asked_for_again_and_again(board, rollout, fleet, clock):
    rollout.end()
    for _ in range(10):
        await board.rollout("web-1")
        clock.go_on(seconds=5)
    assert fleet.calls.count("outcome") == 1
    assert fleet.calls.count("last_progress") == 1
    assert fleet.calls.count("find") <= 3


async def test_what_has_ended_is_shown_as_it_stands_after_its_rollbacks(
    board, rollout, fleet, clock
):
    rollout.end()
    assert (await board.rollout("web-1")).picture.left_to_undo == 3
    undo = fleet.known["web-1-rollback-1"] = FakeRollout("web-1-rollback-1", "a", "b")
    of = RollbackOf(rollout_id="web-1", run_id="run-1")
    undo.plan = undo.plan.model_copy(update={"rollback_of": of})
    fleet.known["web-1-rollback-2"] = FakeRollout("web-1-rollback-2", "c")
    clock.go_on(minutes=2)
    assert (await board.rollout("web-1")).picture.left_to_undo == 3, "it runs"
    for each in ("web-1-rollback-1", "web-1-rollback-2"):
        fleet.known[each].end()
    clock.go_on(minutes=2)
    seen = await board.rollout("web-1")
    assert list(seen.rollbacks) == ["web-1-rollback-1"], "the other one only has such an id"
    assert (seen.picture.left_to_undo, seen.picture.counts["rolledBack"]) == (1, 2)
    asked = fleet.calls.count("outcome")
    clock.go_on(minutes=2)
    await board.rollout("web-1")
    assert fleet.calls.count("outcome") <= asked + 1


async def test_what_is_kept_is_bounded_and_what_is_watched_is_kept(board, fleet):
    stream = board.watch("web-1")
    await next_of(stream)
    for number in range(module.KEPT + 20):
        fleet.known[f"r{number}"] = FakeRollout(f"r{number}", "a")
        await board.rollout(f"r{number}")
    assert len(board._entries) <= module.KEPT
    assert "web-1" in board._entries
    await stream.aclose()


async def test_names_of_rollouts_that_there_are_not_fill_nothing(board):
    for number in range(module.KEPT + 20):
        with pytest.raises(NotFound):
            await board.rollout(f"nowhere-{number}")
    assert len(board._entries) <= module.KEPT


async def test_the_end_of_the_board_ends_what_watches(board):
    stream, rows = board.watch("web-1"), board.watch_rollouts()
    await next_of(stream)
    await next_of(rows)
    waiting = [asyncio.ensure_future(anext(each)) for each in (stream, rows)]
    await asyncio.sleep(0.01)
    await board.close()
    async with asyncio.timeout(10):
        found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in found] == [StopAsyncIteration, StopAsyncIteration]


async def test_a_bug_in_a_look_ends_nothing(board, fleet, clock, monkeypatch, caplog):
    async def broken(**_options):
        raise TypeError("told to")

    monkeypatch.setattr(fleet, "rollouts", broken)
    clock.go_on(seconds=20)
    await until(lambda: board.trouble)
    assert "see the dashboard's log" in board.trouble
    assert "told to" in caplog.text
    monkeypatch.undo()
    clock.go_on(seconds=20)
    await until(lambda: board.trouble is None)
