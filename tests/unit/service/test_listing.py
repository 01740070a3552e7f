"""Of several workers of one server the list shows the one that serves it."""

from datetime import UTC, datetime, timedelta

import pytest

from kitsune.service.listing import WorkerRow, fleet_rows

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def shown(*states):
    """Return the identity and state of a server's row; the workers were heard of in this order."""
    heard = [
        WorkerRow("web-1", f"{at}@h", "h", "1", NOON + timedelta(seconds=at), state)
        for at, state in enumerate(states)
    ]
    (row,) = fleet_rows(heard).servers
    return row.identity, row.state


@pytest.mark.parametrize("state", ["stopping", "stopped"])
def test_a_duplicate_that_was_refused_does_not_hide_the_one_that_serves(state):
    assert shown("online", state) == ("0@h", "online")


def test_after_a_restart_the_new_one_is_shown():
    assert shown("online", "online") == ("1@h", "online")
    assert shown("silent", "online") == ("1@h", "online")


def test_where_none_lives_the_last_word_counts():
    assert shown("silent", "stopped") == ("1@h", "stopped")
    assert shown("stopped", "stopping") == ("1@h", "stopping")


def test_orchestration_workers_stand_apart_each_for_itself():
    heard = [WorkerRow("execution-orchestrator", who, "h", "1", NOON, "online") for who in "ba"]
    found = fleet_rows(heard)
    assert [row.identity for row in found.orchestrators] == ["a", "b"]
    assert found.servers == []
