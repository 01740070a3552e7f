"""What is counted of deliveries: each for what it led to, each end once."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from kitsune.agent.journal import Journal, Operation
from kitsune.agent.operations import OperationRunner, Work
from kitsune.agent.proc import boot_id
from kitsune.errors import StepFailed

OPERATION = Operation(rollout_id="r", run_id="x", server_id="s", step_index=0, step_name="deploy")


class Counted:
    """A tally that keeps what it is told."""

    def __init__(self):
        self.deliveries = Counter()
        self.interruptions = 0
        self.ends = []

    def delivered(self, handled):
        self.deliveries[handled] += 1

    def interrupted(self):
        self.interruptions += 1

    def ended(self, phase, outcome):
        self.ends.append((phase, outcome.status))


@pytest.fixture
async def journal(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    yield journal
    await journal.close()


@pytest.fixture
def tally():
    return Counted()


@pytest.fixture
def runner(journal, tally):
    return OperationRunner(journal, tally)


def work(execute, *, executions=1, resume=None):
    timeout = timedelta(seconds=30)
    return Work(
        execute=execute,
        executions=executions,
        idempotent=False,
        timeout=timeout,
        step_type="fake",
        resume=resume,
    )


async def succeed(*_):
    return {}


async def fail(*_):
    raise StepFailed("no")


async def test_an_answer_from_the_journal_is_no_second_end(runner, tally):
    for _ in range(3):
        await runner.run(OPERATION, work(succeed))
    assert tally.deliveries == {"begun": 1, "answered": 2}
    assert tally.ends == [("execute", "succeeded")]


async def test_a_failure_that_is_tried_again_is_no_end_yet(runner, tally):
    await runner.run(OPERATION, work(fail, executions=2))
    assert tally.ends == []
    await runner.run(OPERATION, work(fail, executions=2))
    assert tally.ends == [("execute", "failed")]
    assert tally.deliveries == {"begun": 2}


async def test_two_deliveries_at_once_are_one_begun_and_one_attached(runner, tally):
    release = asyncio.Event()

    async def wait(*_):
        await release.wait()
        return {}

    first = asyncio.create_task(runner.run(OPERATION, work(wait)))
    await asyncio.sleep(0)
    second = asyncio.create_task(runner.run(OPERATION, work(wait)))
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(first, second)
    assert tally.deliveries == {"begun": 1, "attached": 1}
    assert tally.ends == [("execute", "succeeded")]


async def test_what_a_dead_agent_left_counts_as_interrupted(runner, journal, tally):
    await journal.begin(OPERATION, boot_id=boot_id())
    await runner.run(OPERATION, work(succeed))
    assert tally.interruptions == 1
    assert tally.ends == [("execute", "interrupted")]


async def test_what_survived_its_agent_counts_as_resumed(runner, journal, tally):
    await journal.begin(OPERATION, boot_id=boot_id())
    await runner.run(OPERATION, work(fail, resume=succeed))
    assert tally.deliveries == {"resumed": 1}
    assert tally.interruptions == 0
    assert tally.ends == [("execute", "succeeded")]


async def test_what_is_ended_because_its_rollout_is_over_counts_too(runner, journal, tally):
    await journal.begin(OPERATION, boot_id=boot_id())
    entry = await journal.find(OPERATION.id)
    await runner.end_unattended(entry, cause="its rollout was over")
    assert tally.interruptions == 1
    assert tally.ends == [("execute", "interrupted")]
