"""The orchestrator and Temporal die and come back."""

import shutil
import threading

import pytest
from temporalio.service import RPCError

from faults.harness import until
from faults.oracle import check_invariants, journal_of

pytestmark = [pytest.mark.faults, pytest.mark.e2e, pytest.mark.timeout(180)]


def test_a_killed_orchestrator_costs_seconds_and_nothing_else(world, record_recovery):
    a, b = world.add("r1a", "r1b")
    path, waits = world.hold()
    steps = [world.step("one", waits), world.step("two")]
    strategy = {"type": "Rolling", "batchSize": 1}
    handle = world.start([a, b], steps, rolloutStrategy=strategy)
    world.await_note(handle, "START")
    with record_recovery("R1", expected="it resumes within 20 s; nothing is done twice") as seen:
        world.orchestrator.kill()
        path.touch()
        world.await_note(handle, "END", server=a)  # what runs is finished, and nothing else begins
        told = world.kitsune("status", handle.id)
        assert "failed" not in told.stdout + told.stderr
        assert not world.ledger(handle.id, b)
        world.orchestrator.start()
        result = world.end_of(handle)
        seen(f"{result.status}, {len(world.ledger(handle.id))} notes for 4 executions")
    assert result.success
    check_invariants(world, handle)


def test_a_killed_temporal_comes_back_and_everything_goes_on(own_world, record_recovery):
    world = own_world
    servers = world.add("t1a", "t1b")
    path, waits = world.hold()
    handle = world.start(servers, [world.step("one", waits), world.step("two")])
    world.await_note(handle, "START", count=2)
    log = world.folder / "watch.log"
    watching = world.process("watch", "watch", handle.id, log=log).start()
    until(lambda: log.exists() and log.read_text(), "the watch shows something")
    world.temporal.kill()
    with record_recovery("T1", expected="all go on; who watches is told once each way") as seen:
        until(lambda: "lost contact" in log.read_text(), "the watch notices")
        world.temporal.start()
        until(lambda: "restored" in log.read_text(), "the watch notices")
        path.touch()
        result = world.end_of(handle)
        seen(f"{result.status}, {sum(n.kind == 'START' for n in world.ledger(handle.id))} starts")
    assert result.success
    watching.await_end()
    assert watching.running.returncode == 0
    assert [log.read_text().count(word) for word in ("lost contact", "restored")] == [1, 1]
    check_invariants(world, handle)


def test_a_step_that_ends_while_temporal_is_away_is_not_run_again(own_world, record_recovery):
    world = own_world
    # The second one forgets at once what it may forget, and is restarted, so that it does so.
    a, b = world.add("t2a"), world.add("t2b", environ={"KITSUNE_UNDO_RETENTION": "0s"})
    path, waits = world.hold()
    handle = world.start([a, b], [world.step("one", waits)], heartbeatTimeout=5)
    world.await_note(handle, "START", count=2)
    world.temporal.kill()
    path.touch()
    world.await_note(handle, "END", count=2)
    until(lambda: journal_of(b, handle.id)[0]["state"] == "finished", "its end is on record")
    b.kill()
    b.start()
    # After some 15 s the SDK gives the completion up: the step will be handed out again.
    threading.Event().wait(30)
    with record_recovery("T2", expected="the journal answers the redelivery; one START") as seen:
        world.temporal.start()
        result = world.end_of(handle)
        deliveries = [server.steps_executed[0].deliveries for server in result.results]
        seen(f"{result.status}, {deliveries} deliveries, 1 execution each")
    assert result.success
    assert min(deliveries) >= 2
    check_invariants(world, handle)


def test_a_temporal_from_a_backup_runs_nothing_again(own_world, record_recovery):
    world = own_world
    a = world.add("t4")
    path, waits = world.hold()
    steps = [world.step("one", waits), world.step("two"), world.step("three")]
    handle = world.start([a], steps, heartbeatTimeout=5)
    world.await_note(handle, "START")
    world.temporal.kill()
    files = list(world.folder.glob("temporal.db*"))
    for file in files:
        shutil.copy(file, world.folder / f"backup-of-{file.name}")
    world.temporal.start()
    path.touch()
    assert world.end_of(handle).success
    for process in (world.temporal, world.orchestrator, a):
        process.kill()
    for file in files:
        (world.folder / f"backup-of-{file.name}").replace(file)
    with record_recovery(
        "T4", expected="what the journal knows is told, nothing runs again"
    ) as seen:
        for process in (world.temporal, world.orchestrator, a):
            process.start()
        until(lambda: has_ended(world, handle), "the rollout ends again")
        result = world.end_of(handle)
        starts = [note.step for note in world.ledger(handle.id) if note.kind == "START"]
        seen(f"{result.status}, started {starts}")
    assert result.success
    assert starts == ["one", "two", "three"]
    check_invariants(world, handle)


def has_ended(world, handle):
    try:
        return world.call(handle.describe()).status.name != "RUNNING"
    except RPCError:  # Temporal is on its way
        return False


def test_operators_who_start_the_same_get_one_rollout(world, record_recovery):
    a = world.add("d3")
    plan = world.plan_file([a], [world.step("one", "sleep 1")])
    rollout = f"{world.prefix}-same"
    answers = []

    def run():
        answers.append(world.kitsune("run", plan, "--id", rollout, "-y").returncode)

    with record_recovery("D3", expected="one rollout, the same end for everybody") as seen:
        threads = [threading.Thread(target=run) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seen(f"exit codes {answers}")
    assert answers == [0] * 5
    check_invariants(world, rollout)
    other = world.plan_file([a], [world.step("another")])
    assert world.kitsune("run", other, "--id", rollout, "-y").returncode == 9


def test_overlapping_rollouts_in_opposite_orders_take_turns(world, record_recovery):
    servers = world.add("d4a", "d4b", "d4c")
    with record_recovery("D4", expected="no interleaving, no deadlock") as seen:
        handles = [
            world.start(order, [world.step("one", "sleep 0.3"), world.step("two", "sleep 0.3")])
            for order in (servers, servers[::-1])
        ]
        results = [world.end_of(handle) for handle in handles]
        seen(" and ".join(result.status for result in results))
    assert all(result.success for result in results)
    for handle in handles:
        check_invariants(world, handle)
    for server in servers:
        notes = [note for handle in handles for note in world.ledger(handle.id, server)]
        turns = [note.rollout_id for note in sorted(notes, key=lambda note: note.at)]
        assert turns == [turns[0]] * 4 + [turns[-1]] * 4


def test_without_temporal_a_run_says_so_and_creates_nothing(own_world, record_recovery):
    world = own_world
    a = world.add("t3")
    plan = world.plan_file([a], [world.step("one")])
    world.temporal.kill()
    with record_recovery("T3", expected="exit 69 and the address, nothing half-created") as seen:
        done = world.kitsune("run", plan, "--id", "never", "-y")
        seen(f"exit {done.returncode}")
    assert done.returncode == 69
    assert world.address in done.stderr
    world.temporal.start()
    listed = until(lambda: world.kitsune("list", "-o", "json"), "an answer")
    assert "never" not in listed.stdout
