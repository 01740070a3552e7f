"""What a server answers when it is asked for its steps' output."""

import pytest

from kitsune.activities.agent import Agent
from kitsune.activities.reading import ServerReading
from kitsune.agent.journal import Operation
from kitsune.agent.shim import Spool
from kitsune.handlers.registry import HandlerRegistry
from kitsune.models.logs import PAGE_BYTES, LogListRequest, LogRequest, LogState
from kitsune.models.results import StepOutcome


@pytest.fixture
async def agent(tmp_path):
    agent = Agent.at(tmp_path, server_id="a", registry=HandlerRegistry([]))
    yield agent
    await agent.journal.close()


@pytest.fixture
def begin(agent):
    """Journal a step, and let it print something."""

    async def begin(index, name="work", *, run_id="run", printed=b"", ended=None, **options):
        operation = Operation("r", run_id, "a", index, name, step_type="script", **options)
        entry = await agent.journal.begin(operation, boot_id="boot")
        if printed:
            folder = agent.state / "operations" / operation.id / str(entry.executions)
            folder.mkdir(parents=True)
            spool = Spool(str(folder), "stdout")
            spool.feed(printed)
            spool.close()
        if ended is not None:
            await agent.journal.end(operation.id, ended, final=True)
        return operation

    return begin


def outcome(**options):
    return StepOutcome(name="work", success=True, type="script", **options)


async def read(agent, **options):
    defaults = {"rollout_id": "r", "server_id": "a", "run_id": "run"}
    return await ServerReading(agent).read_log(LogRequest(**(defaults | options)))


async def test_a_page_says_whose_output_it_is_and_how_much_there_is(agent, begin):
    await begin(0, "one", printed=b"first", ended=outcome())
    page = await read(agent, step="one", limit=2, offset=1)
    assert (page.step, page.step_index, page.attempt, page.stream) == ("one", 0, 1, "stdout")
    assert (page.content, page.offset, page.next_offset, page.size) == (b"ir", 1, 3, 5)
    assert page.more
    assert page.ended


async def test_without_a_name_it_is_the_step_that_began_last(agent, begin):
    await begin(0, "one", printed=b"first", ended=outcome())
    await begin(1, "two", printed=b"second")
    page = await read(agent)
    assert (page.step, page.content, page.ended) == ("two", b"second", False)
    assert (await read(agent, step_index=0)).content == b"first"


async def test_a_page_is_bounded_whatever_is_asked_for(agent, begin):
    await begin(0, printed=b"x" * (PAGE_BYTES + 5))
    page = await read(agent, limit=10**9)
    assert len(page.content) == PAGE_BYTES
    assert page.more


async def test_two_rollouts_of_one_id_are_told_apart_by_their_runs(agent, begin):
    await begin(0, printed=b"old", run_id="before", ended=outcome())
    await begin(0, printed=b"new", run_id="run", ended=outcome())
    assert (await read(agent)).content == b"new"
    assert (await read(agent, run_id="before")).content == b"old"


async def test_a_rollback_has_output_of_its_own(agent, begin):
    await begin(0, printed=b"done", ended=outcome())
    await begin(0, printed=b"undone", phase="rollback", ended=outcome())
    assert (await read(agent)).content == b"done"
    assert (await read(agent, phase="rollback")).content == b"undone"


async def test_output_that_has_made_room_is_said_to_be_gone(agent, begin):
    await begin(0, ended=outcome(outputs={"stdout": {"text": "x", "bytes": 1}}))
    page = await read(agent)
    assert (page.state, page.content) == (LogState.REMOVED, b"")
    assert "removed" in page.note


async def test_a_step_without_output_says_so(agent, begin):
    await begin(0, ended=outcome())
    page = await read(agent)
    assert page.state is LogState.NONE
    assert "keeps no output" in page.note


async def test_an_unknown_step_and_an_execution_that_never_was_are_said_so(agent, begin):
    assert "no such step" in (await read(agent, step="nope")).note
    await begin(0, printed=b"x", ended=outcome())
    page = await read(agent, attempt=7)
    assert page.note == "this step was executed once: there is no execution 7"


async def test_the_list_has_every_step_of_the_rollout_with_its_sizes(agent, begin):
    await begin(0, "one", printed=b"first", ended=outcome())
    await begin(1, "two", printed=b"so far")
    await begin(0, "other", run_id="another", ended=outcome())
    listed = await ServerReading(agent).list_logs(
        LogListRequest(rollout_id="r", server_id="a", run_id="run")
    )
    assert [(entry.step, entry.status, entry.stdout) for entry in listed.entries] == [
        ("one", "succeeded", 5),
        ("two", "running", 6),
    ]
    assert listed.omitted == 0
