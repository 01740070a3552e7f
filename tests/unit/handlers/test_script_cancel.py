"""A script that is told to stop: by a timeout, or because the rollout is aborted."""

import asyncio
import logging
import os
import signal
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from kitsune.agent.proc import read_process
from kitsune.agent.processes import alive_members
from kitsune.handlers.base import StepContext
from kitsune.handlers.script import ScriptHandler, ScriptParams
from support.open_files import open_files

#: Far longer than anything here may take: reached only when it hangs.
HANGS = 60
#: Four processes that ignore TERM, three of them in sessions of their own and one without the environment.
STUBBORN = """
trap '' TERM
hold='trap "" TERM; echo $$ >> "$PIDS"; sleep 100; :'
setsid sh -c "$hold" &
( ( setsid sh -c "$hold" & ) )
env -i PIDS="$PIDS" PATH="$PATH" setsid sh -c "$hold" &
echo partial; echo warning >&2
echo $$ >> "$PIDS"
sleep 100; :
"""


class Running:
    """A script that runs in a task."""

    def __init__(self, folder, *, record_process=None, **written):
        self.reports, self.left = [], {}
        self.pids = folder / "pids"
        self.ctx = StepContext(
            rollout_id="rollout-1",
            server_id="server-1",
            step_name="deploy",
            operation_id=uuid.uuid4().hex,
            attempt=1,
            timeout=timedelta(minutes=5),
            spool=folder,
            undo=None,  # a script keeps nothing
            log=logging.LoggerAdapter(logging.getLogger("test")),
            report=self.reports.append,
            leave_outputs=self.left.update,
            **({"record_process": record_process} if record_process else {}),
        )
        params = ScriptParams.model_validate({"env": {"PIDS": str(self.pids)}} | written)
        self.task = asyncio.create_task(ScriptHandler().execute(params, self.ctx))

    async def until_started(self, count=1):
        while not self.pids.exists() or len(self.started()) < count:
            assert not self.task.done()
            await asyncio.sleep(0.01)

    def started(self):
        return [int(pid) for pid in self.pids.read_text().split()]

    async def end(self):
        async with asyncio.timeout(HANGS):
            with pytest.raises(asyncio.CancelledError):
                await self.task

    def alive(self):
        processes = map(read_process, self.started())
        left = [process.pid for process in processes if process and not process.ended]
        return left + alive_members(self.ctx.operation_id)


def names_in(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.fixture
def start(tmp_path):
    running = []

    def start_it(**written):
        running.append(Running(tmp_path, **written))
        return running[-1]

    yield start_it
    for script in running:
        for pid in alive_members(script.ctx.operation_id):
            os.kill(pid, signal.SIGKILL)


async def test_a_cancelled_script_takes_all_its_processes_along(start):
    script = start(inline=STUBBORN, killGrace="200ms")
    await script.until_started(4)
    script.task.cancel()
    await script.end()
    assert script.alive() == []


async def test_cancelling_again_and_again_changes_nothing(start):
    script = start(inline=STUBBORN, killGrace="300ms")
    await script.until_started(4)
    while not script.task.done():
        script.task.cancel()
        await asyncio.sleep(0.005)
    await script.end()
    assert script.alive() == []


async def test_a_timeout_of_the_caller_ends_it_too(start):
    script = start(inline=STUBBORN, killGrace="100ms")
    await script.until_started(4)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(script.task, timeout=0.01)
    assert script.alive() == []


async def test_a_script_may_clean_up_within_its_grace(start):
    text = "trap 'sh -c \"echo cleaned\"; exit 0' TERM; echo $$ > $PIDS; while :; do sleep 100 & wait; done"
    script = start(inline=text, killGrace="30s")
    await script.until_started()
    script.task.cancel()
    await script.end()
    assert (script.ctx.spool / "stdout.log").read_text() == "cleaned\n"
    assert script.alive() == []


async def test_what_was_printed_so_far_is_left_as_outputs(start):
    script = start(inline=STUBBORN, killGrace=0)
    await script.until_started(4)
    script.task.cancel()
    await script.end()
    assert script.left["stdout"] == {"text": "partial\n", "bytes": 8, "truncated": False}
    assert script.left["stderr"]["text"].startswith("warning")
    assert (script.ctx.spool / "stdout.log").read_text() == "partial\n"


async def test_a_cancel_while_the_process_is_being_journalled_ends_it(start):
    recording = asyncio.Event()

    async def record(_pid):
        recording.set()
        await asyncio.Event().wait()

    script = start(inline="sleep 100", record_process=record)
    await recording.wait()
    script.task.cancel()
    await script.end()
    assert alive_members(script.ctx.operation_id) == []


async def test_nothing_stays_open_after_a_cancel(start):
    before = open_files()
    script = start(inline="echo $$ > $PIDS; exec sleep 100")
    await script.until_started()
    script.task.cancel()
    await script.end()
    assert open_files() - before == {}
    assert names_in(script.ctx.spool) == ["exit.json", "pids", "stderr.log", "stdout.log"]
