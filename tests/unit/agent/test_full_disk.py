"""What cannot be recorded is not done, and the agent goes on answering."""

import os
import re
from contextlib import suppress
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from kitsune.activities.agent import Agent
from kitsune.activities.server import ServerActivities
from kitsune.agent import disk
from kitsune.handlers.file_write import FileWriteHandler
from kitsune.handlers.registry import HandlerRegistry
from kitsune.models.requests import PreflightRequest, ResolvedStep, StepRequest
from support.mounts import Mounts

PLACES = {"journal": "", "undo records": "undo", "output": "operations"}


@pytest.fixture
def mounts():
    mounts = Mounts()
    yield mounts
    mounts.end()


@pytest.fixture(params=PLACES.values(), ids=PLACES)
def place(request, tmp_path):
    folder = tmp_path / "state" / request.param
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
async def agent(tmp_path):
    registry = HandlerRegistry([FileWriteHandler()])
    agent = Agent.at(tmp_path / "state", server_id="web-1", registry=registry)
    yield agent
    await agent.journal.close()


def step(tmp_path, *, index=0, content="new"):
    return StepRequest(
        rollout_id="r",
        run_id="run",
        server_id="web-1",
        step=ResolvedStep(
            index=index,
            name="write",
            type="file_write",
            params={"path": str(tmp_path / "file"), "content": content},
            timeout=timedelta(minutes=1),
        ),
    )


async def execute(agent, request):
    return await ActivityEnvironment().run(ServerActivities(agent, None).execute_step, request)


async def rollback(agent, request):
    return await ActivityEnvironment().run(ServerActivities(agent, None).rollback_step, request)


async def preflight(agent):
    request = PreflightRequest(rollout_id="r", server_id="web-1")
    return await ActivityEnvironment().run(ServerActivities(agent, None).preflight, request)


async def refusal(agent, tmp_path):
    with pytest.raises(ApplicationError) as refused:
        await execute(agent, step(tmp_path))
    assert refused.value.non_retryable
    assert not (tmp_path / "file").exists()
    return str(refused.value)


async def test_a_full_disk_refuses_new_steps_and_pings_are_answered(mounts, agent, tmp_path, place):
    mounts.small(place, size="1m")
    if place.name == "state":
        await agent.journal.list_started()  # it was there before the disk was full
    filled = place / "filler"
    with suppress(OSError), filled.open("wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass
    message = await refusal(agent, tmp_path)
    assert "cannot record in" in message
    assert f"'{place}': no space left (0 bytes free, 65,536 needed)" in message
    assert "nothing is done: free space or mend the disk" in message
    report = await preflight(agent)
    assert report.server_id == "web-1"
    assert "nothing is done" in report.problems[0].message
    os.truncate(filled, 0)
    assert (await execute(agent, step(tmp_path))).success
    assert (await preflight(agent)).problems == []


async def test_a_read_only_disk_refuses_new_steps(mounts, agent, tmp_path, place):
    mounts.read_only(place)
    message = await refusal(agent, tmp_path)
    assert re.search(
        r"read-only file system|nothing is done that cannot be recorded", message, re.IGNORECASE
    )
    assert (await preflight(agent)).problems


async def test_what_was_done_is_still_told_and_undone_when_the_records_have_no_room(
    mounts, agent, tmp_path
):
    (tmp_path / "file").write_text("old")
    assert (await execute(agent, step(tmp_path))).success
    mounts.read_only(tmp_path / "state" / "undo")
    again = await execute(agent, step(tmp_path))
    assert (again.success, again.deliveries) == (True, 2)
    assert (await rollback(agent, step(tmp_path))).undone == "rolledBack"
    assert (tmp_path / "file").read_text() == "old"


def test_room_is_proved_anew_only_where_it_may_be_gone(tmp_path, monkeypatch):
    proved = []
    monkeypatch.setattr(disk, "prove_room", proved.append)
    clock = iter([0.0, 1.0, 2.0, 3.0, 60.0])
    monkeypatch.setattr(disk.time, "monotonic", lambda: next(clock))
    proof = disk.RoomProof(tmp_path)

    proof.renew()
    proof.renew()
    assert proved == [tmp_path]
    proof.renew(anew=True)
    assert len(proved) == 2
    monkeypatch.setattr(disk, "_PLENTY", 2**62)
    proof.renew()
    assert len(proved) == 3
    monkeypatch.setattr(disk, "_PLENTY", 0)
    proof.renew()
    assert len(proved) == 4
