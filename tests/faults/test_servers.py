"""What goes wrong on a server itself: full disks, wrong clocks, scripts that do not want to end."""

import base64
import contextlib
import os
import subprocess
import time
from pathlib import Path

import pytest

from faults.harness import freezer, needs_faketime, needs_freezer, needs_root, now, until
from faults.oracle import check_invariants, snapshot

pytestmark = [pytest.mark.faults, pytest.mark.e2e, pytest.mark.timeout(180)]

#: How long these processes would sleep: by that they are found, and not those of another test process.
NAPS = [f"{300 + n}.{os.getpid()}" for n in range(4)]
#: Traps TERM, and leaves a session of its own, a double fork and a process that forgot its environment.
STUBBORN = f"""
trap '' TERM
setsid sh -c 'trap "" TERM; sleep {NAPS[0]}' &
( sh -c 'trap "" TERM; sleep {NAPS[1]}' & ) &
env -i setsid sh -c 'trap "" TERM; sleep {NAPS[2]}' &
exec 1>&- 2>&-
sleep {NAPS[3]}
"""


def write(path, content, **keys):
    encoded = base64.b64encode(content).decode()
    return {
        "name": f"write-{path.name}",
        "type": "file_write",
        "params": {"path": str(path), "contentBase64": encoded, **keys},
    }


@pytest.fixture
def tree(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(5):
        path = tree / f"file-{number}"
        path.write_text(f"old {number}")
        path.chmod(0o600 + number)
    return tree


def test_a_timeout_ends_the_whole_tree_however_stubborn(world, record_recovery):
    a = world.add("s3")
    body = f"echo partial\n{STUBBORN}"
    step = world.step("one", body, timeout="2s", params={"killGrace": "1s"})
    with record_recovery("S2", expected="TERM, grace, KILL; the failure says timed out") as seen:
        handle, result = world.run([a], [step])
        seen(result.results[0].error)
    assert result.results[0].status == "failed"
    assert "timed out after 2s" in result.results[0].error
    (outcome,) = result.results[0].steps_executed
    assert outcome.outputs["stdout"]["text"] == "partial\n"
    assert not sleepers()
    check_invariants(world, handle)


def sleepers():
    """Return processes that sleep for one of our times: even those that forgot whose they were."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_text().split("\0")
            if words[0] == "sleep" and words[1] in NAPS:
                found.append(int(path.parent.name))
    return found


def test_an_abort_ends_the_whole_tree_and_starts_nothing_more(world, record_recovery):
    servers = world.add("x1a", "x1b", "x1c")
    steps = [world.step("one", STUBBORN, params={"killGrace": "1s"}), world.step("two")]
    strategy = {"type": "Parallel", "maxConcurrency": 2}
    handle = world.start(servers, steps, rolloutStrategy=strategy)
    world.await_note(handle, "START", count=2)
    with record_recovery("X1", expected="ended within 5 s, the third server untouched") as seen:
        assert world.kitsune("abort", handle.id, "-y").returncode == 0
        acknowledged = now()
        result = world.end_of(handle)
        seen(f"{result.status}, {result.counts}")
    assert result.status == "aborted"
    assert sorted(server.status for server in result.results) == [
        "cancelled",
        "cancelled",
        "notStarted",
    ]
    assert not sleepers()
    check_invariants(world, handle, abort_at=acknowledged)


@needs_freezer
def test_what_cannot_be_killed_is_told_and_nothing_is_begun_beside_it(world, record_recovery):
    a = world.add("s6")
    plan = world.plan_file([a], [world.step("next")])
    with freezer(f"{world.prefix}-s6") as folder:
        body = f"echo $$ > {folder}/cgroup.procs\necho stuck; sleep 300"
        steps = [world.step("stuck", body, params={"killGrace": "1s"})]
        handle = world.start([a], steps)
        until(lambda: (folder / "cgroup.procs").read_text().count("\n") == 2, "the script waits")
        (folder / "freezer.state").write_text("FROZEN")
        until(lambda: (folder / "freezer.state").read_text() == "FROZEN\n", "it is frozen")
        with record_recovery(
            "S6", expected="KILL sent, still present; not cancelled; nothing new begins"
        ) as seen:
            assert world.kitsune("abort", handle.id, "-y").returncode == 0
            result = world.end_of(handle)
            seen(result.results[0].error)
        (step,) = result.results[0].steps_executed
        assert (result.results[0].status, step.status) == ("failed", "interrupted")
        assert "KILL was sent, and still present: process " in step.error
        assert "(state D)" in step.error
        assert step.outputs["stdout"]["text"] == "stuck\n"
        assert not result.results[0].rolled_back
        assert not result.results[0].rollback_failed  # nobody asked for one
        refused = world.kitsune("run", plan, "-y")
        assert refused.returncode == 8, refused.stdout + refused.stderr
        assert "what step 'stuck' of rollout" in refused.stdout
        assert world.processes_of(handle.id)
    assert world.kitsune("run", plan, "-y").returncode == 0
    check_invariants(world, handle)


def test_a_script_that_asks_meets_an_end_of_input(world, record_recovery):
    a = world.add("s5")
    body = "if read -r answer; then exit 3; fi; if tty; then exit 4; fi; echo asked nobody"
    with record_recovery("S5", expected="stdin is empty, there is no terminal") as seen:
        handle, result = world.run([a], [world.step("one", body)])
        seen(result.status)
    assert result.success
    check_invariants(world, handle)


def test_a_silent_script_outlives_its_heartbeat_timeout(world, record_recovery):
    a = world.add("s1")
    with record_recovery(
        "S1", expected="alive by the agent's heartbeat, not by its output"
    ) as seen:
        handle, result = world.run([a], [world.step("one", "sleep 6")], heartbeatTimeout=3)
        seen(f"{result.status}, {result.results[0].steps_executed[0].deliveries} delivery")
    assert result.success
    assert result.results[0].steps_executed[0].deliveries == 1
    check_invariants(world, handle)


def test_a_gigabyte_of_output_is_cut_and_costs_no_memory(world, record_recovery):
    a = world.add("o1")
    world.run([a], [world.step("warm")])
    body = "head -c 1073741824 /dev/zero | tr '\\0' x; echo; echo the end"
    handle = world.start([a], [world.step("one", body, timeout="2m")])
    peak = 0
    with record_recovery("O1", expected="head and tail, all bytes counted, under 150 MB") as seen:
        while not any(note.kind == "END" for note in world.ledger(handle.id)):
            peak = max(peak, resident(a.running.pid))
            time.sleep(0.05)
        result = world.end_of(handle)
        out = result.results[0].steps_executed[0].outputs["stdout"]
        seen(f"{out['bytes']} bytes, {peak // 2**20} MB resident")
    assert result.success
    assert out["truncated"]
    assert out["bytes"] == 1073741824 + len("\nthe end\n")
    assert out["text"].endswith("the end\n")
    assert peak < 150 * 2**20
    check_invariants(world, handle)


def resident(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@needs_root
def test_an_agent_that_cannot_record_does_nothing_and_still_answers(world, record_recovery):
    full = world.add("f2", disk="4m")
    filler = full.state / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:  # until nothing fits any more
            file.write(b"x" * 4096)
    with record_recovery("F2", expected="refused with the reason; works again with room") as seen:
        refused = world.kitsune("run", world.plan_file([full], [world.step("one")]), "-y")
        seen(f"exit {refused.returncode}")
        assert refused.returncode in (5, 8)
        assert "free space" in refused.stdout + refused.stderr
        assert not (world.ledgers / full.id).exists()
        filler.unlink()
        handle, result = world.run([full], [world.step("one")])
    assert result.success
    check_invariants(world, handle)


@needs_root
def test_a_file_that_does_not_fit_leaves_the_old_one_and_the_rest_is_undone(
    world, record_recovery, tmp_path, tree
):
    a = world.add("f1")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "test", small], check=True)
    try:
        (small / "config").write_bytes(b"old" * 1000)
        before = {tree: snapshot(tree), small: snapshot(small)}
        steps = [write(tree / "file-0", b"new"), write(small / "config", b"x" * 200_000)]
        with record_recovery("F1", expected="ENOSPC named; the old files are as they were") as seen:
            handle, result = world.run([a], steps)
            seen(result.results[0].error)
        assert result.results[0].status == "failed"
        assert result.results[0].rolled_back
        check_invariants(world, handle, trees=before)
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_half_done_server_is_put_back_newest_first(world, record_recovery, tree):
    a = world.add("b4")
    before = {tree: snapshot(tree)}
    steps = [write(tree / f"file-{n}", b"new", mode="0777") for n in range(3)]
    steps += [world.step("breaks", "exit 7"), write(tree / "file-4", b"never")]
    with record_recovery("B4", expected="what was done is undone, the rest never touched") as seen:
        handle, result = world.run([a], steps)
        seen(f"{result.results[0].status}, rolled back: {result.results[0].rolled_back}")
    assert result.results[0].rolled_back
    check_invariants(world, handle, trees=before)


@needs_root
def test_a_rollback_that_cannot_write_needs_a_person_and_says_where(
    world, record_recovery, tmp_path, tree
):
    a = world.add("b1")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "test", disk], check=True)
    try:
        (disk / "config").write_text("old")
        breaks = world.step("breaks", f"mount -o remount,ro {disk}; exit 7")
        steps = [write(tree / "file-0", b"new"), write(disk / "config", b"new"), breaks]
        before = {tree: snapshot(tree)}
        plan = world.plan_file([a], steps)
        with record_recovery("B1", expected="exit 6, the failed undo named, others done") as seen:
            done = world.kitsune("run", plan, "-y", "--id", f"{world.prefix}-b1", "-o", "json")
            seen(f"exit {done.returncode}")
        assert done.returncode == 6
        assert "config" in done.stdout
        assert (disk / "config").read_text() == "new"
        check_invariants(world, f"{world.prefix}-b1", trees=before)
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        again = world.kitsune("rollback", f"{world.prefix}-b1", "--retry", "-y")
        assert again.returncode == 0, again.stdout + again.stderr
        assert (disk / "config").read_text() == "old"
    finally:
        subprocess.run(["umount", disk], check=True)


@needs_faketime
@pytest.mark.parametrize(
    "clock",
    [["+10d"], ["-10d"], ["+0d", "+10d", "-10d"]],
    ids=["ahead", "behind", "jumps"],
)
def test_a_wrong_clock_changes_nothing(world, record_recovery, clock, tree):
    a = world.add(f"c1{len(clock)}{clock[0].strip('+-')}{clock[0][0] == '+'}", clock=clock[0])
    before = {tree: snapshot(tree)}
    path, waits = world.hold()
    steps = [write(tree / "file-0", b"new"), world.step("one", waits)]
    steps += [world.step("slow", "sleep 60", timeout="2s")]
    with record_recovery("C1", expected="steps, timeouts and undo work as ever") as seen:
        handle = world.start([a], steps, heartbeatTimeout=5)
        world.await_note(handle, "START")
        for offset in clock[1:]:
            a.isolation.set_clock(offset)
            time.sleep(2)  # heartbeats and looks at the clock go on meanwhile
        path.touch()
        result = world.end_of(handle)
        seen(result.results[0].error)
    assert "timed out after 2s" in result.results[0].error
    assert result.results[0].steps_executed[1].deliveries == 1
    assert result.results[0].rolled_back
    check_invariants(world, handle, trees=before)


@needs_faketime
def test_an_orchestrator_whose_clock_is_wrong_keeps_the_order(own_world, record_recovery):
    world = own_world
    servers = world.add("c2a", "c2b")
    world.orchestrator.kill()
    world.orchestrator.command = ["faketime", "-f", "-1d", *world.orchestrator.command]
    world.orchestrator.start(FAKETIME_DONT_FAKE_MONOTONIC="1").await_ready()
    strategy = {"type": "Rolling", "batchSize": 1, "batchDelaySeconds": 1}
    with record_recovery("C2", expected="workflow time is Temporal's own") as seen:
        steps = [world.step("one", "sleep 0.5")]
        handle, result = world.run(servers, steps, rolloutStrategy=strategy)
        seen(result.status)
    assert result.success
    assert world.ledger(handle.id)[-1].at - world.ledger(handle.id)[0].at >= 1
    check_invariants(world, handle)
