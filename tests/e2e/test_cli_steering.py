"""The verbs that steer a rollout, against real workers: what they answer, and what they do to servers."""

import json
import os

import pytest

from support.small_fleet import SmallFleet, lines_of, script, until

pytestmark = [pytest.mark.e2e, pytest.mark.server]


@pytest.fixture(scope="module")
def fleet(temporal_server, tmp_path_factory):
    fleet = SmallFleet(temporal_server.address, tmp_path_factory.mktemp("fleet"), "a", "b")
    yield fleet
    fleet.close()


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


def new_id(name):
    return f"{name}-s{os.getpid()}"


def note(log, word):
    return f"echo {word}-${{KITSUNE_SERVER_ID##*.}} >> {log}"


def start(fleet, name, *steps, **keys):
    """Start a rollout in the background and return its id."""
    rollout_id = new_id(name)
    ran = fleet.kitsune(
        "run", fleet.plan(steps=list(steps), **keys), "--id", rollout_id, "--detach"
    )
    assert ran.returncode == 0, ran.stderr
    return rollout_id


def seen(fleet, rollout_id):
    return json.loads(fleet.kitsune("status", rollout_id, "-o", "json").stdout)


def until_seen(fleet, rollout_id, holds):
    until(lambda: holds(seen(fleet, rollout_id)))


def test_a_paused_rollout_says_so_and_goes_on_when_it_is_resumed(fleet, log, tmp_path):
    hold = tmp_path / "go"
    first = script(f"{note(log, 'one')}; while ! [ -e {hold} ]; do sleep 0.05; done", name="one")
    rollout_id = start(fleet, "pause", first, script(note(log, "two"), name="two"))
    until(lambda: len(lines_of(log)) == 2)
    paused = fleet.kitsune("pause", rollout_id, "--reason", "error rate is up")
    assert (paused.returncode, paused.stdout) == (0, f"{rollout_id}: paused\n")
    again = fleet.kitsune("pause", rollout_id, "-o", "json")
    assert json.loads(again.stdout) == {
        "rolloutId": rollout_id,
        "verb": "pause",
        "accepted": "accepted",
        "answer": "already paused",
    }
    hold.touch()
    shown = fleet.kitsune("status", rollout_id).stdout
    assert "PAUSED by " in shown
    assert "error rate is up" in shown
    assert f"$ kitsune resume {rollout_id}" in shown
    (row,) = [
        row
        for row in json.loads(fleet.kitsune("list", "-o", "json").stdout)
        if row["rolloutId"] == rollout_id
    ]
    assert row["paused"] is True
    assert fleet.kitsune("resume", rollout_id).stdout == f"{rollout_id}: resumed\n"
    assert fleet.kitsune("watch", rollout_id).returncode == 0
    assert [order["verb"] for order in seen(fleet, rollout_id)["orders"]] == ["pause", "resume"]
    for verb in ("pause", "resume", "approve"):
        late = fleet.kitsune(verb, rollout_id)
        assert late.returncode == 9, late.stderr
        assert "has already ended (succeeded)" in late.stderr


def test_a_gate_is_shown_with_its_command_and_opened_by_its_name(fleet, log):
    rollout_id = start(
        fleet,
        "gate",
        script(note(log, "one")),
        rolloutStrategy={"type": "Canary", "approval": "afterCanary"},
    )
    until_seen(fleet, rollout_id, lambda now: now.get("gate"))
    command = f"kitsune approve {rollout_id} --gate canary"
    assert command in fleet.kitsune("status", rollout_id).stdout
    assert fleet.kitsune("approve", rollout_id, "--gate", "batch-7").returncode == 9
    assert lines_of(log) == ["one-a"]
    approved = fleet.kitsune("approve", rollout_id)
    assert (approved.returncode, approved.stdout) == (0, f"{rollout_id}: approved canary\n")
    assert "waits for approval of canary since" in approved.stderr
    assert fleet.kitsune("watch", rollout_id).returncode == 0
    assert lines_of(log) == ["one-a", "one-b"]


def test_limits_are_set_while_it_waits_for_a_person(fleet, log):
    rollout_id = start(
        fleet,
        "set",
        script(note(log, "one")),
        rolloutStrategy={"type": "Rolling", "approval": "everyBatch"},
    )
    until_seen(fleet, rollout_id, lambda now: now.get("gate"))
    changed = fleet.kitsune("set", rollout_id, "--max-failures", "50%")
    assert changed.stdout == f"{rollout_id}: set maxFailures 0 -> 50%\n"
    assert fleet.kitsune("set", rollout_id).returncode == 2
    assert fleet.kitsune("set", rollout_id, "--max-failures", "many").returncode == 2
    assert fleet.kitsune("skip", rollout_id, "--server", fleet.servers[0]).returncode == 9
    assert fleet.kitsune("retry", rollout_id).returncode == 9
    assert fleet.kitsune("rollback", rollout_id).returncode == 9
    assert fleet.kitsune("abort", rollout_id).returncode == 0


def asks(fleet, name, log, mended):
    """Start a rollout whose second step fails on both servers until it is mended."""
    fails = f"[ -e {mended} ] || exit 3; {note(log, 'two')}"
    rollout_id = start(
        fleet,
        name,
        script(note(log, "one"), name="one", rollback=note(log, "undone")),
        script(fails, name="two"),
        rolloutStrategy={"onFailure": "ask", "maxFailures": 2},
    )
    until_seen(fleet, rollout_id, lambda now: now["counts"].get("held") == 2)
    return rollout_id


def test_held_servers_are_retried_or_skipped(fleet, log, tmp_path):
    rollout_id = asks(fleet, "held", log, tmp_path / "mended")
    a, b = fleet.servers
    shown = fleet.kitsune("status", rollout_id).stdout
    assert f"{a} is held at step two" in shown
    for verb in ("retry", "skip", "rollback"):
        assert f"$ kitsune {verb} {rollout_id} --server {a}" in shown
    (tmp_path / "mended").touch()
    assert fleet.kitsune("retry", rollout_id, "--server", a).stdout == (
        f"{rollout_id}: retry {a}\n"
    )
    assert fleet.kitsune("skip", rollout_id, "--server", b).returncode == 0
    assert fleet.kitsune("watch", rollout_id).returncode == 3
    assert sorted(lines_of(log)) == ["one-a", "one-b", "two-a"]


def test_a_held_server_is_rolled_back(fleet, log, tmp_path):
    rollout_id = asks(fleet, "undo", log, tmp_path / "mended")
    for server in fleet.servers:
        assert fleet.kitsune("rollback", rollout_id, "--server", server).returncode == 0
    assert fleet.kitsune("watch", rollout_id).returncode == 3
    assert sorted(lines_of(log)) == ["one-a", "one-b", "undone-a", "undone-b"]


def test_a_retry_of_an_ended_rollout_begins_where_it_failed(fleet, log, tmp_path):
    mended = tmp_path / "mended"
    on_b = f'case "$KITSUNE_SERVER_ID" in *.b) [ -e {mended} ] || exit 3;; esac'
    rollout_id = start(
        fleet,
        "again",
        script(note(log, "one"), name="one"),
        script(f"{on_b}; {note(log, 'two')}", name="two"),
        rollback={"scope": "none"},
    )
    assert fleet.kitsune("watch", rollout_id).returncode == 5
    mended.touch()
    ran = fleet.kitsune("retry", rollout_id, "--from-step", "failed", "--reason", "mended")
    assert ran.returncode == 0, ran.stderr
    assert f"started {rollout_id}-retry-1" in ran.stderr
    assert lines_of(log).count("one-b") == 1
    assert lines_of(log).count("two-b") == 1
    assert lines_of(log).count("two-a") == 1
    nothing = fleet.kitsune("retry", rollout_id)
    assert nothing.returncode == 9
    assert "nothing to retry" in nothing.stderr
    shown = fleet.kitsune("status", f"{rollout_id}-retry-1").stdout
    assert shown.startswith(f"retry of {rollout_id}\n")


def test_an_ended_rollout_is_rolled_back_once(fleet, tmp_path):
    target = tmp_path / "release"
    target.write_text("old")
    write = {
        "name": "write",
        "type": "file_write",
        "params": {"path": str(target), "content": "new"},
    }
    rollout_id = start(fleet, "back", write, servers=fleet.servers[:1])
    assert fleet.kitsune("watch", rollout_id).returncode == 0
    assert target.read_text() == "new"
    undone = fleet.kitsune("rollback", rollout_id)
    assert undone.returncode == 0, undone.stderr
    assert f"rollback of {rollout_id} succeeded" in undone.stdout
    assert target.read_text() == "old"
    again = fleet.kitsune("rollback", rollout_id)
    assert again.returncode == 0
    assert "is already rolled back: left out" in again.stderr
    assert "nothing to roll back" in again.stderr
    assert fleet.kitsune("rollback", f"{rollout_id}-rollback-1").returncode == 9
    assert fleet.kitsune("retry", f"{rollout_id}-rollback-1").returncode == 9
