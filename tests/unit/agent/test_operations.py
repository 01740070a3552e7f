"""Each operation once: deliveries, interruptions, cancels, and a journal that cannot be written."""

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from kitsune.agent import leftovers
from kitsune.agent.journal import Journal, Operation
from kitsune.agent.operations import OperationRunner
from kitsune.agent.processes import boot_id, process_start_time
from kitsune.agent.survivors import remaining
from kitsune.agent.work import Work
from kitsune.errors import JournalUnavailable, NothingLeft, NotWanted, ProcessRemains, StepFailed
from kitsune.models.results import StepOutcome
from kitsune.names import ENV_OPERATION

OPERATION = Operation(
    rollout_id="r", run_id="run-1", server_id="server-1", step_index=0, step_name="deploy"
)


class Handler:
    """A fake handler: counts its executions and does what it is told."""

    def __init__(self, *ends):
        self.ends = list(ends)
        self.attempts = []
        self.started = asyncio.Event()
        self.release = asyncio.Event()

    async def __call__(self, attempt, record_process):
        self.attempts.append(attempt)
        self.started.set()
        end = self.ends.pop(0) if self.ends else {}
        if end == "wait":
            await self.release.wait()
            return {"released": True}
        if isinstance(end, BaseException):
            raise end
        return end


def work(handler, *, executions=1, idempotent=False, timeout=30.0):
    return Work(
        execute=handler,
        executions=executions,
        idempotent=idempotent,
        timeout=timedelta(seconds=timeout),
        step_type="fake",
    )


@pytest.fixture
async def journal(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    yield journal
    await journal.close()


async def test_a_second_delivery_gets_the_recorded_result_and_runs_nothing(journal):
    handler = Handler({"answer": 42})
    first = await OperationRunner(journal).run(OPERATION, work(handler))
    again = await OperationRunner(journal).run(OPERATION, work(handler))
    assert handler.attempts == [1]
    assert first.outcome.outputs == again.outcome.outputs == {"answer": 42}
    assert again.final
    assert again.outcome.deliveries == 2


async def test_two_deliveries_at_once_meet_in_one_execution(journal):
    handler = Handler("wait")
    runner = OperationRunner(journal)
    first = asyncio.create_task(runner.run(OPERATION, work(handler)))
    await handler.started.wait()
    second = asyncio.create_task(runner.run(OPERATION, work(handler)))
    handler.release.set()
    assert (await first).outcome == (await second).outcome
    assert handler.attempts == [1]


async def test_a_caller_that_is_cancelled_leaves_the_execution_running(journal):
    handler = Handler("wait")
    runner = OperationRunner(journal)
    caller = asyncio.create_task(runner.run(OPERATION, work(handler)))
    await handler.started.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    handler.release.set()
    verdict = await runner.run(OPERATION, work(handler))
    assert verdict.outcome.outputs == {"released": True}
    assert handler.attempts == [1]


async def test_executions_are_counted_and_the_last_failure_is_final(journal):
    handler = Handler(StepFailed("one"), StepFailed("two"), StepFailed("three"))
    runner = OperationRunner(journal)
    verdicts = [await runner.run(OPERATION, work(handler, executions=2)) for _ in range(3)]
    assert handler.attempts == [1, 2]
    assert [verdict.final for verdict in verdicts] == [False, True, True]
    assert [verdict.outcome.error for verdict in verdicts] == ["one", "two", "two"]
    assert verdicts[1].outcome.executions == 2


async def test_a_permanent_failure_is_final_at_once(journal):
    handler = Handler(StepFailed("no such command", permanent=True))
    verdict = await OperationRunner(journal).run(OPERATION, work(handler, executions=5))
    assert verdict.final
    assert verdict.outcome.error == "no such command"


async def test_a_bug_in_a_handler_is_a_failed_step(journal):
    verdict = await OperationRunner(journal).run(OPERATION, work(Handler(KeyError("x"))))
    assert verdict.outcome.error == "the handler broke: KeyError: 'x'"


async def test_a_step_that_takes_too_long_fails_and_is_cancelled(journal):
    handler = Handler("wait")
    verdict = await OperationRunner(journal).run(OPERATION, work(handler, timeout=0.05))
    assert verdict.outcome.error == "timed out after 0.05s"
    assert verdict.outcome.status == "failed"


async def test_an_operators_cancel_is_final(journal):
    handler = Handler("wait")
    runner = OperationRunner(journal)
    caller = asyncio.create_task(runner.run(OPERATION, work(handler, executions=3)))
    await handler.started.wait()
    verdict = await runner.cancel(OPERATION)
    assert verdict.outcome.status == "cancelled"
    assert (await caller).final
    assert (await runner.run(OPERATION, work(handler))).outcome.status == "cancelled"
    assert handler.attempts == [1]


async def test_a_stopping_agent_leaves_an_interruption_behind(journal):
    handler = Handler("wait")
    runner = OperationRunner(journal)
    caller = asyncio.create_task(runner.run(OPERATION, work(handler)))
    await handler.started.wait()
    await runner.cancel(OPERATION, stopping=True)
    outcome = (await caller).outcome
    assert outcome.status == "interrupted"
    assert outcome.error.startswith("interrupted: the local worker was stopped while the step ran")


async def die_in_the_middle(journal, *, pid=None, pid_start=None, boot=None):
    """Leave behind what an agent leaves that was killed during an execution."""
    await journal.begin(OPERATION, boot_id=boot or boot_id())
    if pid:
        await journal.record_process(OPERATION.id, pid=pid, pid_start=pid_start)


async def test_an_interrupted_script_is_an_honest_failure_not_a_second_copy(journal):
    await die_in_the_middle(journal)
    handler = Handler()
    verdict = await OperationRunner(journal).run(OPERATION, work(handler))
    assert handler.attempts == []
    assert verdict.final
    assert verdict.outcome.status == "interrupted"
    assert verdict.outcome.error.startswith("interrupted: the local worker died while the step ran")


async def test_an_interrupted_idempotent_step_runs_again(journal):
    await die_in_the_middle(journal)
    handler = Handler({"done": True})
    verdict = await OperationRunner(journal).run(OPERATION, work(handler, idempotent=True))
    assert verdict.outcome.success
    assert handler.attempts == [2]


async def test_an_interrupted_step_with_executions_left_runs_again(journal):
    await die_in_the_middle(journal)
    handler = Handler({})
    verdict = await OperationRunner(journal).run(OPERATION, work(handler, executions=2))
    assert verdict.outcome.success
    assert handler.attempts == [2]


async def test_a_step_that_kills_its_agent_does_not_do_so_for_ever(journal):
    interrupted = StepOutcome(name="deploy", success=False, status="interrupted")
    for _ in range(5):
        await die_in_the_middle(journal)
        await journal.end(OPERATION.id, interrupted, final=False)
    await die_in_the_middle(journal)
    handler = Handler()
    verdict = await OperationRunner(journal).run(OPERATION, work(handler, idempotent=True))
    assert verdict.final
    assert handler.attempts == []


async def test_a_handler_that_cancels_itself_has_failed(journal):
    handler = Handler(asyncio.CancelledError())
    verdict = await OperationRunner(journal).run(OPERATION, work(handler))
    assert verdict.outcome.status == "failed"


async def test_what_survives_is_resumed_and_not_run_again(journal):
    await die_in_the_middle(journal, pid=4711, pid_start=1)
    handler, resumed = Handler(), []

    async def resume(entry, _record_process):
        resumed.append((entry.executions, entry.pid))
        return {"resumed": True}

    runner = OperationRunner(journal)
    verdict = await runner.run(OPERATION, replace(work(handler), resume=resume))
    assert (handler.attempts, resumed) == ([], [(1, 4711)])
    assert verdict.outcome.outputs == {"resumed": True}
    again = await runner.run(OPERATION, replace(work(handler), resume=resume))
    assert (again.outcome.success, len(resumed)) == (True, 1)


@pytest.mark.parametrize(("boot", "cause"), [(None, "worker died"), ("other", "host restarted")])
async def test_what_survives_and_is_gone_is_an_honest_failure(journal, boot, cause):
    async def resume(_entry, _record_process):
        raise NothingLeft("gone")

    await die_in_the_middle(journal, boot=boot)
    handler = Handler()
    verdict = await OperationRunner(journal).run(OPERATION, replace(work(handler), resume=resume))
    assert (verdict.outcome.status, verdict.final) == ("interrupted", True)
    assert cause in verdict.outcome.error
    assert handler.attempts == []


async def test_a_stopping_agent_lets_go_of_what_survives(journal):
    handler, resume = Handler("wait"), Handler({"resumed": True})
    runner = OperationRunner(journal)
    caller = asyncio.create_task(runner.run(OPERATION, replace(work(handler), resume=resume)))
    await handler.started.wait()
    verdict = await runner.cancel(OPERATION, stopping=True)
    assert not verdict.final
    assert (await caller) == verdict
    assert (await journal.find(OPERATION.id)).state == "started"
    later = await OperationRunner(journal).run(OPERATION, replace(work(handler), resume=resume))
    assert later.outcome.outputs == {"resumed": True}


async def test_what_a_dead_agent_left_of_another_rollout_is_ended_and_recorded(journal):
    await die_in_the_middle(journal)
    other = replace(OPERATION, run_id="run-2")
    assert (await OperationRunner(journal).run(other, work(Handler({})))).outcome.success
    entry = await journal.find(OPERATION.id)
    assert (entry.state, entry.outcome.status) == ("finished", "interrupted")
    assert "another rollout took this server" in entry.outcome.error


async def test_only_what_nobody_goes_on_with_is_ended_at_the_start(journal):
    await journal.begin(replace(OPERATION, step_type="script"), boot_id=boot_id())
    assert await OperationRunner(journal).end_leftovers(surviving={"script"}) == 0
    assert await OperationRunner(journal).end_leftovers() == 1


async def test_another_boot_is_named_as_the_cause(journal):
    await die_in_the_middle(journal, boot="another-boot")
    verdict = await OperationRunner(journal).run(OPERATION, work(Handler()))
    assert "the host restarted" in verdict.outcome.error


async def test_what_a_dead_agent_left_running_is_ended_before_anything_else(journal):
    orphan = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env={**os.environ, ENV_OPERATION: OPERATION.id},
        start_new_session=True,
    )
    await die_in_the_middle(journal, pid=orphan.pid, pid_start=process_start_time(orphan.pid))
    verdict = await OperationRunner(journal).run(OPERATION, work(Handler()))
    assert verdict.outcome.status == "interrupted"
    assert orphan.wait(timeout=10) != 0


async def test_a_journal_that_cannot_be_written_means_that_nothing_is_done(tmp_path):
    (tmp_path / "journal.sqlite").mkdir()
    journal = Journal(tmp_path / "journal.sqlite")
    handler = Handler()
    with pytest.raises(JournalUnavailable, match="cannot be written"):
        await OperationRunner(journal).run(OPERATION, work(handler))
    assert handler.attempts == []


async def test_an_end_that_cannot_be_recorded_is_told_as_it_was_and_not_repeated(journal):
    handler = Handler({"answer": 42})
    runner = OperationRunner(FullDisk(journal))
    first = await runner.run(OPERATION, work(handler))
    again = await runner.run(OPERATION, work(handler))
    assert first.outcome.success
    assert first == again
    assert handler.attempts == [1]


async def test_what_could_not_be_recorded_is_recorded_once_there_is_room(journal):
    disk = FullDisk(journal)
    runner = OperationRunner(disk)
    await runner.run(OPERATION, work(Handler({"answer": 42})))
    await runner.catch_up()
    assert (await journal.find(OPERATION.id)).state == "started"
    disk.full = False
    await runner.catch_up()
    entry = await journal.find(OPERATION.id)
    assert (entry.state, entry.outcome.outputs) == ("finished", {"answer": 42})
    handler = Handler({})
    assert (await OperationRunner(journal).run(OPERATION, work(handler))).outcome.success
    assert handler.attempts == []


class FullDisk:
    """A journal whose disk fills up while a step runs."""

    def __init__(self, journal):
        self._journal = journal
        self.full = True

    def __getattr__(self, name):
        return getattr(self._journal, name)

    async def end(self, *args, **keys):
        if self.full:
            raise JournalUnavailable("the journal cannot be written: disk full")
        await self._journal.end(*args, **keys)


async def test_what_still_runs_for_another_rollout_is_ended_first(journal):
    lost, ours = Handler("wait"), Handler({})
    runner = OperationRunner(journal)
    other = replace(OPERATION, run_id="run-0")
    caller = asyncio.create_task(runner.run(other, work(lost)))
    await lost.started.wait()
    caller.cancel()
    assert (await runner.run(OPERATION, work(ours))).outcome.success
    assert (await runner.run(other, work(lost))).outcome.status == "cancelled"
    assert lost.attempts == [1]


async def test_a_step_that_was_rolled_back_since_is_not_reported_as_done(journal):
    handler = Handler({})
    runner = OperationRunner(journal)
    await runner.run(OPERATION, work(handler))
    await journal.mark_undone(OPERATION.id)
    verdict = await runner.run(OPERATION, work(handler))
    assert verdict.final
    assert not verdict.outcome.success
    assert "rolled back since" in verdict.outcome.error


async def test_a_journal_that_was_removed_under_the_agent_is_no_journal(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    await journal.begin(OPERATION, boot_id="b")
    (tmp_path / "journal.sqlite").unlink()
    with pytest.raises(JournalUnavailable):
        await journal.check()
    await journal.close()


async def test_what_a_step_had_to_show_survives_its_timeout(journal):
    handler = Handler("wait")
    left = {"stdout": {"text": "half way"}}
    verdict = await OperationRunner(journal).run(
        OPERATION, replace(work(handler, timeout=0.05), left=left)
    )
    assert verdict.outcome.outputs == left
    assert (await journal.find(OPERATION.id)).outcome.outputs == left


async def test_a_new_agent_ends_what_the_dead_one_left_running(journal):
    orphan = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env={**os.environ, ENV_OPERATION: OPERATION.id},
        start_new_session=True,
    )
    await die_in_the_middle(journal, pid=orphan.pid, pid_start=process_start_time(orphan.pid))
    assert await OperationRunner(journal).end_leftovers() == 1
    assert orphan.wait(timeout=10) != 0


async def test_what_is_recorded_survives_the_process(tmp_path):
    first = Journal(tmp_path / "journal.sqlite")
    await OperationRunner(first).run(OPERATION, work(Handler({"n": 1})))
    await first.close()
    second = Journal(tmp_path / "journal.sqlite")
    entry = await second.find(OPERATION.id)
    await second.close()
    assert entry.state == "finished"
    assert entry.outcome.outputs == {"n": 1}
    assert (tmp_path / "journal.sqlite").stat().st_mode & 0o777 == 0o600


def test_operations_differ_by_run_server_step_phase_and_generation_only():
    ids = {
        Operation("r", run, server, step, "n", phase, generation).id
        for run in ("1", "2")
        for server in ("a", "b")
        for step in (0, 1)
        for phase in ("execute", "rollback")
        for generation in (0, 1)
    }
    assert len(ids) == 32
    renamed = Operation("other", "run-1", "server-1", 0, "other name")
    assert renamed.id == OPERATION.id


async def test_what_is_not_wanted_any_more_is_not_begun_and_what_began_is_told_all_the_same(
    journal,
):
    async def confirm():
        raise NotWanted("not begun: it came too late")

    handler = Handler({"answer": 42})
    late = replace(work(handler), confirm=confirm)
    with pytest.raises(NotWanted):
        await OperationRunner(journal).run(OPERATION, late)
    assert handler.attempts == []
    assert await journal.find(OPERATION.id) is None
    assert (await OperationRunner(journal).run(OPERATION, work(handler))).outcome.success
    assert (await OperationRunner(journal).run(OPERATION, late)).outcome.outputs == {"answer": 42}


@pytest.fixture
def stubborn():
    """A process that stands for one that KILL does not end."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


async def leave_it(runner, handler, process, **more):
    """Cancel a step whose handler says that a process remains; return the outcome."""
    left = {}
    caller = asyncio.create_task(
        runner.run(OPERATION, replace(work(handler, executions=3), left=left, **more))
    )
    await handler.started.wait()
    left.update(remaining([process.pid]))
    await runner.cancel(OPERATION)
    return await caller


async def test_what_could_not_be_ended_is_never_told_as_cancelled(journal, stubborn):
    verdict = await leave_it(OperationRunner(journal), Handler("wait"), stubborn)
    assert (verdict.outcome.status, verdict.final) == ("interrupted", True)
    assert f"KILL was sent, and still present: process {stubborn.pid}" in verdict.outcome.error


async def test_a_step_that_timed_out_does_not_run_again_beside_what_it_left(journal, stubborn):
    handler, left = Handler("wait"), remaining([stubborn.pid])
    verdict = await OperationRunner(journal).run(
        OPERATION, replace(work(handler, executions=3, timeout=0.05), left=left)
    )
    assert verdict.final
    assert verdict.outcome.error.startswith("timed out after 0.05s; KILL was sent")


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("phase", ["execute", "rollback"])
async def test_nothing_begins_on_a_server_while_something_cannot_be_ended(
    journal, stubborn, restarted, phase
):
    runner, handler = OperationRunner(journal), Handler({})
    await runner.run(replace(OPERATION, step_index=9), work(Handler({})))
    await leave_it(runner, Handler("wait"), stubborn)
    if restarted:
        runner = OperationRunner(journal)
    other = replace(OPERATION, step_index=1, phase=phase, run_id="run-2")
    with pytest.raises(ProcessRemains, match=f"'deploy' of rollout 'r'.* process {stubborn.pid}"):
        await runner.run(other, work(handler))
    with pytest.raises(ProcessRemains):
        await runner.refuse_beside_survivors()
    assert (await runner.run(OPERATION, work(handler))).outcome.status == "interrupted"  # told
    stubborn.kill()
    stubborn.wait()
    assert (await runner.run(other, work(handler))).outcome.success
    assert handler.attempts == [1]


async def test_a_rollback_does_not_touch_what_a_dead_agents_step_still_holds(
    journal, stubborn, monkeypatch
):
    async def end_nothing(_marker, _root, *, grace):
        return [stubborn.pid]

    monkeypatch.setattr(leftovers, "end_tree", end_nothing)
    await die_in_the_middle(journal, pid=stubborn.pid)
    with pytest.raises(ProcessRemains, match="has not ended: KILL was sent"):
        await OperationRunner(journal).settle(OPERATION)
