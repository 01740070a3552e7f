"""Who gives way where two hosts have one server id."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from kitsune.workers.duplicates import (
    Neighbour,
    comes_after,
    is_elsewhere,
    make_instance,
    moved,
)

HERE, THERE = "a" * 12, "b" * 12


def identity(host, start, chance="00000000"):
    return f"1@web-1@web#{host}-{start:012x}-{chance}"


def seen(name, beat=1, *, host="web", ended=False):
    return Neighbour(identity=name, host=host, beat=beat, ended=ended)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=5), st.data())
def test_of_any_workers_exactly_one_gives_way_to_nobody(starts, data):
    known = [f"{n}@x@h#{HERE}-{start:012x}-0000000{n}" for n, start in enumerate(starts)]
    known += ["9@x@old", "8@x@older"] if data.draw(st.booleans()) else []
    for one, other in itertools.permutations(known, 2):
        assert comes_after(one, other) is not comes_after(other, one)
    stays = [one for one in known if not any(comes_after(one, other) for other in known)]
    assert len(stays) == 1


def test_a_worker_that_tells_no_start_was_there_first():
    assert comes_after(identity(HERE, 1), "1@web-1@web")


def test_a_restarted_worker_of_this_host_is_not_elsewhere():
    assert not is_elsewhere(identity(HERE, 9), seen(identity(HERE, 1)))


def test_a_clone_of_the_same_name_is_elsewhere():
    assert is_elsewhere(identity(HERE, 9), seen(identity(THERE, 1)))


def test_only_a_heartbeat_that_moves_is_life():
    before = {"a": seen("a", 1), "b": seen("b", 1), "c": seen("c", 1)}
    now = {"a": seen("a", 2), "b": seen("b", 1), "c": seen("c", 2, ended=True), "d": seen("d", 5)}
    assert [other.identity for other in moved(before, now)] == ["a"]


def test_an_instance_is_read_back_from_the_identity():
    mine = f"1@web-1@web#{make_instance(HERE)}"
    assert is_elsewhere(mine, seen(identity(THERE, 1)))
    assert comes_after(mine, identity(THERE, 1))
