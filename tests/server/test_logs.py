"""Reading output from servers on a real Temporal: in pages, from rollbacks, and from servers that are away."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from kitsune.errors import NotFound, ServerAway, TooOld
from kitsune.models.logs import LogSource, LogState
from kitsune.service.fleet import Fleet

pytestmark = pytest.mark.server

SOON = timedelta(seconds=1)


@pytest.fixture
def fleet(client):
    return Fleet(client)


def plan(*lines, servers=("a",), rollback="echo undone"):
    steps = [
        {
            "name": f"step {number}",
            "type": "script",
            "params": {"inline": line, "rollbackInline": rollback},
        }
        for number, line in enumerate(lines, 1)
    ]
    return {"servers": list(servers), "steps": steps}


async def test_every_byte_is_read_in_pages_and_hardly_anything_of_it_stays_in_temporal(
    bench, fleet, client: Client
):
    await bench.start_servers("a")
    handle = await bench.start(plan("printf 'one\\377\\000two'", "seq 1000 >&2; exit 3"))
    await bench.end_of(handle)
    server = bench.id_of("a")
    first = await fleet.read_log(handle.id, server, step="step 1", limit=5)
    rest = await fleet.read_log(handle.id, server, step=0, offset=first.next_offset)
    assert first.content + rest.content == b"one\xff\x00two"
    assert (first.more, rest.more) == (True, False)
    failing = await fleet.read_log(handle.id, server, stream="stderr", offset=-5)
    assert (failing.step, failing.content, failing.ended) == ("step 2", b"1000\n", True)
    undone = await fleet.read_log(handle.id, server, phase="rollback")
    assert (undone.step, undone.content) == ("step 1", b"undone\n")
    listed = await fleet.list_logs(handle.id, server)
    assert [(entry.phase, entry.step) for entry in listed.entries] == [
        ("execute", "step 1"),
        ("execute", "step 2"),
        ("rollback", "step 2"),
        ("rollback", "step 1"),
    ]
    # It is asked to forget each answer; one that it misses ends with its retention.
    left = [row async for row in client.list_activities(f"TaskQueue = '{server}'")]
    assert len(left) < 5


async def test_of_a_server_that_is_away_the_result_is_shown_and_when_it_was_seen(bench, fleet):
    wire = await bench.start_separate_server("a")
    handle = await bench.start(plan("seq 20000"))
    await bench.end_of(handle)
    wire.cut()
    server = bench.id_of("a")
    page = await fleet.read_log(handle.id, server, patience=SOON)
    assert page.source is LogSource.RESULT
    assert page.truncated
    assert page.content.startswith(b"1\n2\n")
    assert "does not answer" in page.note
    with pytest.raises(ServerAway):
        await fleet.list_logs(handle.id, server, patience=SOON)
    unknown = await fleet.read_log(handle.id, server, step="nope", patience=SOON)
    assert (unknown.state, unknown.source) == (LogState.NONE, LogSource.NOWHERE)
    with pytest.raises(NotFound, match="did you mean"):
        await fleet.read_log(handle.id, server[:-1] + "b", patience=SOON)


async def test_what_a_running_step_has_printed_so_far_can_be_read(bench, fleet, tmp_path):
    await bench.start_servers("a")
    gate = tmp_path / "gate"
    handle = await bench.start(plan(f"echo so far; until test -e {gate}; do sleep 0.05; done"))
    server = bench.id_of("a")
    async with asyncio.timeout(30):
        while (page := await fleet.read_log(handle.id, server)).content != b"so far\n":
            await asyncio.sleep(0.05)
    assert not page.ended
    assert await fleet.server_result(handle.id, server) is None
    gate.touch()
    await bench.end_of(handle)
    assert (await fleet.read_log(handle.id, server)).ended
    assert (await fleet.server_result(handle.id, server)).success


async def test_a_local_worker_of_an_older_kitsune_is_said_to_be_too_old(bench, fleet, client):
    await bench.start_servers("a")
    handle = await bench.start(plan("true"))
    await bench.end_of(handle)
    other = bench.id_of("old")

    from temporalio import activity

    @activity.defn(name="Preflight")
    async def preflight() -> None: ...

    async with Worker(client, task_queue=other, activities=[preflight]):
        with pytest.raises(TooOld, match="upgrade it"):
            await fleet.list_logs(handle.id, other)
