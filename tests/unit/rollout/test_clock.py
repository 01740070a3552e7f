"""Active time: what passes while a rollout is paused does not count."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kitsune.rollout.clock import ActiveClock

START = datetime(2026, 11, 24, tzinfo=UTC)


@given(st.lists(st.tuples(st.integers(0, 1000), st.sampled_from(["pause", "resume", "look"]))))
def test_only_the_time_between_pauses_counts(moves):
    clock, now, active, paused = ActiveClock(START), START, timedelta(0), False
    for seconds, what in moves:
        now += timedelta(seconds=seconds)
        active += timedelta(0) if paused else timedelta(seconds=seconds)
        if what == "pause":
            clock.pause(now)
            paused = True
        elif what == "resume":
            clock.resume(now)
            paused = False
        assert clock.elapsed(now) == active
        assert clock.paused is paused


def test_a_moment_moves_away_while_the_clock_stands_still():
    clock = ActiveClock(START)
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    assert clock.moment_of(hour, START + minute) == START + hour
    clock.pause(START + minute)
    assert clock.moment_of(hour, START + 5 * minute) == START + hour + 4 * minute
