"""The time that is left is a guess from what the others took, and nothing where nobody knows."""

from datetime import UTC, datetime, timedelta

from kitsune.models.orders import Gate
from kitsune.models.progress import BatchProgress, Phase, Progress, ServerProgress
from kitsune.rollout.estimate import time_left

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def at(seconds):
    return NOON + timedelta(seconds=seconds)


def done(name, batch=0, took=60):
    return ServerProgress(
        server_id=name, state="succeeded", batch=batch, started_at=NOON, ended_at=at(took)
    )


def running(name, batch, since):
    return ServerProgress(server_id=name, state="running", batch=batch, started_at=at(since))


def progress(servers, sizes, batch, **fields):
    batches = [
        BatchProgress(
            index=index,
            servers=size,
            state="done" if index < batch else "running" if index == batch else "pending",
        )
        for index, size in enumerate(sizes)
    ]
    defaults = {"phase": Phase.RUNNING, "batch_count": len(sizes), "batch": batch}
    return Progress(servers=servers, batches=batches, **(defaults | fields))


def left(*arguments, now=80, **fields):
    found = time_left(progress(*arguments, **fields), now=at(now))
    return None if found is None else found.total_seconds()


def test_a_batch_that_runs_together_takes_as_long_as_one_server():
    servers = [done("a"), *(running(f"b{n}", 1, 60) for n in range(200))]
    assert left(servers, [1, 200], 1) == 40


def test_each_coming_batch_takes_as_long_again():
    assert left([done("a"), running("b", 1, 60)], [1, 1, 1, 5], 1) == 40 + 60 + 60


def test_where_servers_of_a_batch_wait_for_others_they_take_turns():
    servers = [done("a"), running("b", 0, 60), running("c", 0, 60)]
    servers += [ServerProgress(server_id=f"p{n}", batch=0) for n in range(5)]
    assert left(servers, [8], 0) == 40 + 3 * 60


def test_a_pause_between_batches_counts():
    assert left([done("a")], [1, 1], 0, wait_until=at(100), phase=Phase.WAITING) == 20 + 60


def test_batches_beyond_those_that_are_listed_count():
    seen = progress([done("a"), running("b", 1, 60)], [1, 1, 1], 1, batch_count=10)
    assert time_left(seen, now=at(80)) == timedelta(seconds=40 + 60 + 7 * 60)


def test_a_server_that_takes_longer_than_the_others_leaves_nothing_to_say_but_soon():
    assert left([done("a"), running("b", 1, 0)], [1, 1], 1, now=600) == 0


def test_nothing_is_said_where_nobody_knows():
    assert left([running("a", 0, 0)], [1], 0) is None
    servers = [done("a"), running("b", 1, 60)]
    assert left(servers, [1, 1], 1, paused=True) is None
    assert left(servers, [1, 1], 1, gate=Gate(id="canary", opened_at=NOON)) is None
    assert left(servers, [1, 1], 1, phase=Phase.ROLLING_BACK) is None
