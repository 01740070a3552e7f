"""The link between a server and Temporal is cut: packets vanish, nobody is told."""

import threading

import pytest

from faults.harness import needs_root, now, until
from faults.oracle import check_invariants

pytestmark = [pytest.mark.faults, pytest.mark.e2e, pytest.mark.timeout(180), needs_root]

PATIENT = {"policy": "fail", "timeout": "60s"}
NO_ROLLBACK = {"scope": "none"}


def test_a_short_partition_is_invisible(world, record_recovery):
    a = world.add("n1", network=True)
    handle = world.start([a], [world.step("one", "sleep 8")], heartbeatTimeout=30)
    world.await_note(handle, "START")
    with record_recovery("N1", expected="one delivery, one execution") as seen:
        a.cut()
        threading.Event().wait(6)
        a.mend()
        result = world.end_of(handle)
        step = result.results[0].steps_executed[0]
        seen(f"{result.status}, {step.deliveries} delivery")
    assert result.success
    assert (step.deliveries, step.executions) == (1, 1)
    check_invariants(world, handle)


def test_a_long_partition_kills_no_script(world, record_recovery):
    a = world.add("n2", network=True)
    path, waits = world.hold()
    steps = [world.step("one", waits)]
    handle = world.start([a], steps, heartbeatTimeout=5, unreachable=PATIENT)
    note = world.await_note(handle, "START") and world.ledger(handle.id)[0]
    a.cut()
    threading.Event().wait(9)
    assert note.pid in world.processes_of(handle.id)
    with record_recovery("N2", expected="the script goes on; attached after the heal") as seen:
        a.mend()
        path.touch()
        result = world.end_of(handle)
        step = result.results[0].steps_executed[0]
        seen(f"{result.status}, {step.deliveries} deliveries, {step.executions} execution")
    assert result.success
    assert step.executions == 1
    check_invariants(world, handle)


def test_a_script_that_ends_behind_a_partition_is_told_after_it(world, record_recovery):
    a = world.add("n3", network=True)
    steps = [world.step("one", "sleep 2; echo finished"), world.step("two")]
    handle = world.start([a], steps, heartbeatTimeout=5, unreachable=PATIENT)
    world.await_note(handle, "START")
    a.cut()
    world.await_note(handle, "END")
    threading.Event().wait(8)
    with record_recovery("N3", expected="the recorded result is delivered") as seen:
        a.mend()
        result = world.end_of(handle)
        seen(f"{result.status}, {result.results[0].steps_executed[0].deliveries} deliveries")
    assert result.success
    assert "finished" in result.results[0].steps_executed[0].outputs["stdout"]["text"]
    check_invariants(world, handle)


def test_an_abort_behind_a_partition_starts_nothing_after_it(world, record_recovery):
    a = world.add("x2", network=True)
    steps = [world.step("one", "sleep 3"), world.step("two")]
    unreachable = {"policy": "fail", "timeout": "5s"}
    handle = world.start([a], steps, heartbeatTimeout=5, unreachable=unreachable)
    world.await_note(handle, "START")
    a.cut()
    with record_recovery("X2", expected="recorded at once; step two never starts") as seen:
        done = world.kitsune("abort", handle.id, "-y", "--reason", "test")
        acknowledged = now()
        result = world.end_of(handle)
        seen(f"exit {done.returncode}, {result.status}, {result.results[0].status}")
    a.mend()
    until(lambda: not world.processes_of(handle.id), "its script has ended")
    again, after = world.run([a], [world.step("three")])
    assert after.success
    assert [note.step for note in world.ledger(handle.id) if note.kind == "START"] == ["one"]
    assert result.status == "aborted"
    check_invariants(world, handle, abort_at=acknowledged, may_be_unknown=[a])
    check_invariants(world, again)


def test_a_step_that_arrives_after_its_rollout_is_over_is_not_begun(world, record_recovery):
    """The agent hangs with the step in its hands, as a frozen machine does, until it was given up."""
    thaw = world.folder / "thaw"
    environ = {"KITSUNE_FAILPOINTS": f"step.delivered=until:{thaw}"}
    a = world.add("d2", environ=environ)
    unreachable = {"policy": "fail", "timeout": "3s"}
    handle = world.start(
        [a], [world.step("one")], heartbeatTimeout=4, unreachable=unreachable, rollback=NO_ROLLBACK
    )
    until(lambda: world.pending_step(a), "the step is in the agent's hands")
    assert world.kitsune("abort", handle.id, "-y").returncode in (0, 7)
    acknowledged = now()
    result = world.end_of(handle)
    assert result.status == "aborted"
    with record_recovery("D2", expected="refused: nobody waits for it any more") as seen:
        thaw.touch()
        until(lambda: "not begun: it came too late" in a.log.read_text(), "it is refused")
        again, after = world.run([a], [world.step("two")])
        seen(f"{result.results[0].status}; refused, and the next rollout {after.status}")
    assert after.success
    assert not world.ledger(handle.id)
    check_invariants(world, handle, abort_at=acknowledged, may_be_unknown=[a])
    check_invariants(world, again)


def test_a_batch_of_which_nobody_answers_halts_the_rollout(world, record_recovery):
    here, *away = world.add("n7a", "n7b", "n7c")
    for server in away:
        server.end()
    keys = {
        "rolloutStrategy": {"type": "Rolling", "batchSize": 2, "maxFailures": -1},
        "unreachable": {"policy": "skip", "timeout": "3s"},
    }
    with record_recovery("N7", expected="it stops; the next batch is not begun") as seen:
        handle, result = world.run([*away, here], [world.step("one")], **keys)
        seen(f"{result.status}: {result.reason}")
    assert result.status == "stopped"
    assert not world.ledger(handle.id)
    check_invariants(world, handle)
