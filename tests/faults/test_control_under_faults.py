"""Operators steer a rollout while things die around it."""

import base64
import threading

import pytest

from faults.harness import needs_root, now, until
from faults.oracle import check_invariants, snapshot
from kitsune import names
from kitsune.models.progress import Progress

pytestmark = [pytest.mark.faults, pytest.mark.e2e, pytest.mark.timeout(180)]

WHO = {"actor": "test", "reason": "to see it obeyed"}


def order(world, handle, verb, **given):
    return world.call(handle.execute_update(verb, WHO | given))


def progress(world, handle):
    return world.call(handle.query(names.QUERY_PROGRESS, result_type=Progress))


def write(path, content):
    encoded = base64.b64encode(content).decode()
    params = {"path": str(path), "contentBase64": encoded}
    return {"name": "write", "type": "file_write", "params": params}


def test_a_paused_rollout_survives_the_death_of_everything(own_world, record_recovery):
    world = own_world
    servers = world.add("x4a", "x4b")
    path, waits = world.hold()
    steps = [world.step("one", waits), world.step("two")]
    strategy = {"type": "Rolling", "batchSize": 1}
    handle = world.start(servers, steps, rolloutStrategy=strategy, heartbeatTimeout=4)
    world.await_note(handle, "START")
    order(world, handle, "pause")
    path.touch()
    world.await_note(handle, "END")
    for process in (*servers, world.orchestrator, world.temporal):
        process.kill()
    world.temporal.start()
    world.orchestrator.start()
    for process in servers:
        process.start()
    with record_recovery("X4", expected="still paused; resumed, it ends as it would have") as seen:
        until(lambda: answers(world), "Temporal answers")
        for process in (*servers, world.orchestrator):
            process.await_ready()
        assert progress(world, handle).paused
        assert len(world.ledger(handle.id)) == 2
        order(world, handle, "resume")
        result = world.end_of(handle)
        seen(f"{result.status}, orders {[order.verb for order in result.orders]}")
    assert result.success
    assert [record.verb for record in result.orders] == ["pause", "resume"]
    assert {record.actor for record in result.orders} == {"test"}
    check_invariants(world, handle)


def answers(world):
    try:
        return world.call(world.client.service_client.check_health())
    except Exception:  # noqa: BLE001 - whatever it says, it does not answer yet
        return False


def test_a_rollback_waits_for_a_server_that_is_away(world, record_recovery, tmp_path):
    a, b = world.add("b2a", "b2b")
    trees = {server: tmp_path / server.id for server in (a, b)}
    for tree in trees.values():
        tree.mkdir()
        (tree / "config").write_text("old")
    before = {tree: snapshot(tree) for tree in trees.values()}
    path, waits = world.hold()
    step = world.step("check", f'case "$KITSUNE_SERVER_ID" in *b2b) {waits}; exit 7;; esac')
    # Each server writes its own file: the name of the folder is the server's id.
    writes = world.step(
        "write",
        f"printf new > {tmp_path}/$KITSUNE_SERVER_ID/config",
        rollback=f"printf old > {tmp_path}/$KITSUNE_SERVER_ID/config",
    )
    handle = world.start(
        [a, b],
        [writes, step],
        rolloutStrategy={"type": "Rolling", "batchSize": 1},
        rollback={"scope": "fleet", "deadline": "2m"},
        heartbeatTimeout=4,
        unreachable={"policy": "fail", "timeout": "5s"},
    )
    world.await_note(handle, "START", server=b, count=2)
    a.kill()
    path.touch()
    with record_recovery("B2", expected="pending while away, done when it is back") as seen:
        until(lambda: "rollbackPending" in str(progress(world, handle).servers), "it is pending")
        a.start()
        result = world.end_of(handle)
        seen(f"{result.status}, {result.rolled_back} rolled back")
    assert result.rolled_back == 2
    check_invariants(world, handle, trees=before)


def test_a_file_that_a_person_changed_is_a_conflict_and_both_are_kept(
    world, record_recovery, tmp_path
):
    a = world.add("b6")
    path = tmp_path / "config"
    path.write_text("old")
    handle, result = world.run([a], [write(path, b"new")])
    assert result.success
    path.write_text("mine")
    with record_recovery("B6", expected="exit 6, both kept; --force overwrites") as seen:
        done = world.kitsune("rollback", handle.id, "-y")
        seen(f"exit {done.returncode}")
        assert done.returncode == 6, done.stderr
        assert path.read_text() == "mine"
        done = world.kitsune("rollback", handle.id, "-y", "--retry", "--force")
    assert done.returncode == 0, done.stdout + done.stderr
    assert path.read_text() == "old"


@needs_root
def test_an_abort_while_an_agent_is_offline_for_ever_ends_the_rollout(world, record_recovery):
    a, b = world.add("x2a", "x2b", network=True)
    steps = [world.step("one", "sleep 2"), world.step("two", "sleep 2")]
    unreachable = {"policy": "wait"}
    handle = world.start([a, b], steps, heartbeatTimeout=4, unreachable=unreachable)
    world.await_note(handle, "START", count=2)
    a.cut()
    threading.Event().wait(1)
    with record_recovery("X2", expected="over in seconds, though it would wait for ever") as seen:
        order(world, handle, "abort")
        acknowledged = now()
        result = world.end_of(handle)
        seen(f"{result.status}, {result.counts}")
    a.mend()
    again, after = world.run([a], [world.step("three")])
    assert after.success
    assert [note.step for note in world.ledger(handle.id, a) if note.kind == "START"] == ["one"]
    check_invariants(world, handle, abort_at=acknowledged, may_be_unknown=[a])
    check_invariants(world, again)
