"""An agent dies, with and without its scripts, and comes back, with and without its host."""

import base64
import contextlib
import os
import shutil
import signal
import sqlite3
import threading

import pytest

from faults.harness import needs_root, until
from faults.oracle import check_invariants, journal_of, snapshot

pytestmark = [pytest.mark.faults, pytest.mark.e2e, pytest.mark.timeout(180)]


def test_a_script_goes_on_without_its_agent_and_is_found_again(world, record_recovery):
    a = world.add("a1")
    path, waits = world.hold()
    steps = [world.step("one", f"echo before\n{waits}\necho after"), world.step("two")]
    handle = world.start([a], steps, heartbeatTimeout=4)
    world.await_note(handle, "START")
    a.kill()
    threading.Event().wait(1)
    assert world.processes_of(handle.id), "the script went with its agent"
    with record_recovery("A1", expected="re-attached: one START, the whole output") as seen:
        a.start().await_ready()
        path.touch()
        result = world.end_of(handle)
        step = result.results[0].steps_executed[0]
        seen(f"{result.status}, {step.deliveries} deliveries, {step.executions} execution")
    assert result.success
    assert step.executions == 1
    assert step.outputs["stdout"]["text"] == "before\nafter\n"
    check_invariants(world, handle)


def test_what_ended_while_the_agent_was_dead_is_told_by_the_next_one(world, record_recovery):
    a = world.add("a2")
    path, waits = world.hold()
    steps = [world.step("one", f"{waits}\necho done"), world.step("two")]
    handle = world.start([a], steps, heartbeatTimeout=4)
    world.await_note(handle, "START")
    a.kill()
    path.touch()
    world.await_note(handle, "END")
    until(lambda: not world.processes_of(handle.id), "the script and its shim have ended")
    with record_recovery("A2", expected="the record is told once; nothing runs again") as seen:
        a.start()
        result = world.end_of(handle)
        seen(f"{result.status}, {result.results[0].steps_executed[0].executions} execution")
    assert result.success
    assert result.results[0].steps_executed[0].outputs["stdout"]["text"] == "done\n"
    check_invariants(world, handle)


def kill_all(world, server, handle):
    """End the agent and all that it started, as a kernel short of memory would."""
    server.kill()
    row = next(row for row in journal_of(server, handle.id) if row["state"] == "started")
    # The shim first: left for a moment, it would record how the script ended.
    for pid in (row["pid"], *world.processes_of(handle.id)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not world.processes_of(handle.id), "all of it is dead")


@pytest.mark.parametrize("attempts", [1, 2])
def test_agent_and_script_killed_is_an_interruption(world, record_recovery, attempts):
    a = world.add(f"a3x{attempts}")
    path, waits = world.hold()
    policy = {"maximumAttempts": attempts}
    handle = world.start([a], [world.step("one", waits, retryPolicy=policy)], heartbeatTimeout=4)
    world.await_note(handle, "START")
    kill_all(world, a, handle)
    path.touch()
    expected = "fails as interrupted" if attempts == 1 else "runs again: executions are left"
    with record_recovery("A3", expected=expected) as seen:
        a.start()
        result = world.end_of(handle)
        step = result.results[0].steps_executed[0]
        seen(f"{step.status}, {step.executions} executions")
    assert (step.status, step.executions) == (
        ("interrupted", 1) if attempts == 1 else ("succeeded", 2)
    )
    check_invariants(world, handle)


@needs_root
def test_a_host_that_restarts_in_the_middle_is_named_as_the_cause(world, record_recovery):
    a = world.add("a5", boot=True)
    handle = world.start([a], [world.step("one", "sleep 60")], heartbeatTimeout=4)
    world.await_note(handle, "START")
    a.kill()  # its namespace ends with it, as a host does
    until(lambda: not world.processes_of(handle.id), "the host is down")
    a.isolation.set_boot("00000000-0000-4000-8000-000000000002")
    with record_recovery("A5", expected="interrupted: the host restarted") as seen:
        a.start()
        result = world.end_of(handle)
        seen(result.results[0].error)
    assert result.results[0].steps_executed[0].status == "interrupted"
    assert "the host restarted" in result.results[0].error
    check_invariants(world, handle)


@needs_root
def test_a_script_that_asks_for_a_reboot_runs_again_after_it(world, record_recovery):
    # `reboot` on this host leaves a mark, and the test does the rest.
    mark = world.folder / "please-reboot"
    a = world.add("a5b", boot=True, environ={"KITSUNE_REBOOT_COMMAND": f"touch {mark}"})
    body = 'echo "reboots: ${KITSUNE_REBOOTS:-0}"; [ "${KITSUNE_REBOOTS:-0}" -gt 0 ] || exit 194'
    steps = [world.step("one", body), world.step("two")]
    handle = world.start([a], steps, heartbeatTimeout=4)
    until(mark.exists, "the reboot command was run")
    a.kill()
    a.isolation.set_boot("00000000-0000-4000-8000-000000000003")
    with record_recovery("A5", expected="exit code 194: the script goes on after the boot") as seen:
        a.start()
        result = world.end_of(handle)
        seen(f"{result.status}, {result.results[0].steps_executed[0].executions} execution")
    assert result.success
    assert "reboots: 1" in result.results[0].steps_executed[0].outputs["stdout"]["text"]
    check_invariants(world, handle)


#: The more a file system puts off, the more a power cut takes: ext4 writes all at once when asked for anything.
DISKS = [kind for kind in ("btrfs", "ext4") if shutil.which(f"mkfs.{kind}")]


@needs_root
@pytest.mark.skipif(not DISKS, reason="neither mkfs.btrfs nor mkfs.ext4 is there")
def test_what_is_on_record_outlives_a_power_cut(world, record_recovery):
    mark = world.folder / "please-reboot-again"
    environ = {"KITSUNE_REBOOT_COMMAND": f"touch {mark}"}
    a = world.add("f6", boot=True, image=DISKS[0], environ=environ)
    tree = a.isolation.disk / "tree"
    tree.mkdir()
    (tree / "config").write_text("old")
    os.sync()
    before = {tree: snapshot(tree)}
    content = base64.b64encode(b"new").decode()
    params = {"path": f"{tree}/config", "contentBase64": content}
    path, waits = world.hold()
    body = f'[ "$KITSUNE_REBOOTS" -gt 0 ] || exit 194\n{waits}'
    steps = [{"name": "write", "type": "file_write", "params": params}, world.step("one", body)]
    handle = world.start([a], steps, heartbeatTimeout=4)
    until(mark.exists, "the reboot command was run")
    a.lose_power("00000000-0000-4000-8000-000000000004")
    with record_recovery("F6", expected="no restart asked twice, no run twice; undone") as seen:
        a.start()
        world.await_note(handle, "START", count=2)
        assert (tree / "config").read_text() == "new"
        a.lose_power("00000000-0000-4000-8000-000000000005")
        path.touch()  # a third run would come to its end
        a.start()
        result = world.end_of(handle)
        seen(f"{result.results[0].error}, rolled back: {result.results[0].rolled_back}")
    assert "the host restarted" in result.results[0].error
    assert sum(note.kind == "START" for note in world.ledger(handle.id)) == 2
    assert result.results[0].rolled_back
    check_invariants(world, handle, trees=before)


def test_an_agent_that_is_upgraded_in_the_middle_lets_the_script_go_on(world, record_recovery):
    a = world.add("a6")
    path, waits = world.hold()
    handle = world.start([a], [world.step("one", waits), world.step("two")])
    world.await_note(handle, "START")
    a.end()  # SIGTERM, as systemd does
    assert world.processes_of(handle.id), "the script went with its agent"
    with record_recovery("A6", expected="the next process attaches; one START") as seen:
        a.start().await_ready()
        path.touch()
        result = world.end_of(handle)
        seen(f"{result.status}, {result.results[0].steps_executed[0].executions} execution")
    assert result.success
    check_invariants(world, handle)


def test_a_script_of_a_rollout_that_is_closed_is_ended_by_the_next_agent(world, record_recovery):
    a = world.add("orphan")
    handle = world.start(
        [a],
        [world.step("one", "sleep 120")],
        heartbeatTimeout=4,
        unreachable={"policy": "fail", "timeout": "3s"},
        rollback={"scope": "none"},  # else it would wait for the server, to undo it
    )
    world.await_note(handle, "START")
    a.kill()
    result = world.end_of(handle)
    assert result.results[0].status == "unknown"
    assert world.processes_of(handle.id)
    with record_recovery("A4", expected="the agent ends what no rollout waits for") as seen:
        a.start()
        until(lambda: not world.processes_of(handle.id), "the orphan has ended")
        until(lambda: journal_of(a, handle.id)[0]["state"] != "started", "it is on record")
        seen(journal_of(a, handle.id)[0]["state"])
    check_invariants(world, handle, may_be_unknown=[a])


def test_the_journal_is_whole_after_a_kill(world):
    a = world.add("whole")
    handle = world.start([a], [world.step("one", "sleep 1")], heartbeatTimeout=4)
    world.await_note(handle, "START")
    a.kill()
    with sqlite3.connect(a.state / "journal.sqlite") as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    database.close()
    a.start()
    world.end_of(handle)
