"""The figures of a state folder."""

import pytest

from kitsune import metrics
from kitsune.activities.agent import Agent
from kitsune.agent.journal import Operation
from kitsune.handlers.registry import HandlerRegistry
from kitsune.workers.state_figures import write_figures
from support.recorded_measures import RecordedMeasures

OPERATION = Operation(rollout_id="r", run_id="x", server_id="s", step_index=0, step_name="deploy")


@pytest.fixture
async def agent(tmp_path):
    agent = Agent.at(tmp_path / "state", server_id="s", registry=HandlerRegistry([]))
    agent.state.mkdir()
    yield agent
    await agent.journal.close()


@pytest.fixture
def measures():
    return RecordedMeasures()


async def test_rows_room_and_what_is_kept_are_measured(agent, measures):
    await agent.journal.begin(OPERATION, boot_id="b")
    kept = agent.state / "operations" / OPERATION.id / "1"
    kept.mkdir(parents=True)
    (kept / "stdout").write_bytes(b"x" * 100_000)
    await write_figures(agent, measures)
    assert measures.of(metrics.STATE_WRITABLE) == 1
    assert measures.of(metrics.JOURNAL_ROWS, state="started") == 1
    assert measures.of(metrics.JOURNAL_ROWS, state="finished") == 0
    assert measures.of(metrics.KEPT, kind="output") >= 100_000
    assert 0 < measures.of(metrics.DISK_FREE) <= measures.of(metrics.DISK_SIZE)


async def test_a_journal_that_cannot_be_written_shows(agent, measures):
    await write_figures(agent, measures)
    (agent.state / "journal.sqlite").unlink()
    await write_figures(agent, measures)
    assert measures.of(metrics.STATE_WRITABLE) == 0
    assert measures.of(metrics.DISK_FREE) > 0
