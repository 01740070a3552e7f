"""The soak sees what grows."""

import pytest

from faults.soak import report

FLAT = [{"MB": 100.0, "descriptors": 20, "threads": 9}] * 10


def growing(**steps):
    return [
        {key: value + steps.get(key, 0) * n for key, value in FLAT[0].items()} for n in range(10)
    ]


def test_a_flat_process_is_flat():
    assert report({("agent", 1): FLAT}) == []


@pytest.mark.parametrize("what", ["MB", "descriptors", "threads"])
def test_a_process_that_grows_is_named(what):
    (grown,) = report({("agent", 1): growing(**{what: 10})})
    assert grown.startswith(f"agent {what}")


def test_the_memory_of_temporal_is_told_and_not_judged(capsys):
    assert report({("temporal", 1): growing(MB=10)}) == []
    assert "temporal (1): MB" in capsys.readouterr().out
