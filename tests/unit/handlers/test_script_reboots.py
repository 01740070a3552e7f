"""Exit code 194 restarts the host, and the script runs again after it."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kitsune.agent import proc
from kitsune.errors import NothingLeft, StepFailed
from kitsune.handlers.base import RecordedProcess
from kitsune.handlers.script import ScriptHandler
from kitsune.handlers.script_reboots import resume_with_reboots, run_with_reboots
from kitsune.testing import HandlerBench


class Host:
    def __init__(self, folder):
        self._file = folder / "sys/kernel/random/boot_id"
        self._file.parent.mkdir(parents=True)
        self.asked = folder / "asked"
        self.boot("0")

    def boot(self, boot_id):
        self._file.write_text(f"{boot_id}\n")

    @property
    def times_asked(self):
        return self.asked.read_text().count("reboot") if self.asked.exists() else 0


@pytest.fixture
def host(tmp_path, monkeypatch):
    host = Host(tmp_path / "proc")
    monkeypatch.setattr(proc, "_PROC", tmp_path / "proc")
    command = f'{sys.executable} -c \'open("{host.asked}", "a").write("reboot ")\''
    monkeypatch.setenv("KITSUNE_REBOOT_COMMAND", command)
    return host


@pytest.fixture
def ctx(tmp_path):
    bench = HandlerBench(ScriptHandler(), state=tmp_path / "state")
    return bench._context("execute", attempt=1, timeout=5)


class Script:
    """A script that asks for so many restarts before it succeeds; an attached one goes on like a new one."""

    def __init__(self, *, restarts):
        self._restarts = restarts
        self.runs, self.attached = [], []

    async def run(self, ctx, reboots):
        self.runs.append(reboots)
        return self._end(ctx, reboots)

    async def attach(self, ctx, reboots):
        self.attached.append(reboots)
        return self._end(ctx, reboots)

    def _end(self, ctx, reboots):
        (ctx.spool / "stdout.log").write_text(f"run {reboots}")
        if reboots < self._restarts:
            raise StepFailed("exit code 194", outputs={"exitCode": 194})
        return {"exitCode": 0}


async def until_down(work, host, times):
    """Let a step go on until it has asked for a restart and its agent goes down."""
    running = asyncio.create_task(work)
    async with asyncio.timeout(60):
        while host.times_asked < times and not running.done():
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()


async def test_a_script_runs_again_after_each_restart_and_knows_how_many(host, ctx):
    script = Script(restarts=2)
    await until_down(run_with_reboots(ctx, script.run), host, 1)
    host.boot("1")
    await until_down(resume_with_reboots(ctx, script.run, script.attach), host, 2)
    host.boot("2")
    outputs = await resume_with_reboots(ctx, script.run, script.attach)
    assert outputs == {"exitCode": 0, "reboots": 2}
    assert (script.runs, script.attached, host.times_asked) == ([0, 1, 2], [], 2)
    assert len(list(ctx.spool.rglob("stdout.log"))) == 3


async def test_an_agent_that_dies_after_the_restart_goes_on_with_the_second_run(host, ctx):
    script = Script(restarts=1)
    await until_down(run_with_reboots(ctx, script.run), host, 1)
    host.boot("1")
    await resume_with_reboots(ctx, script.run, script.attach)
    outputs = await resume_with_reboots(ctx, script.run, script.attach)
    assert outputs == {"exitCode": 0, "reboots": 1}
    assert (script.runs, script.attached, host.times_asked) == ([0, 1], [1], 1)


@pytest.mark.parametrize("boot", ["0", "1"])
async def test_a_run_after_the_restart_is_never_taken_for_the_process_of_the_one_before(
    host, ctx, boot
):
    seen = []

    async def attach(part, _reboots):
        seen.append(part.process)
        return {}

    script = Script(restarts=1)
    await until_down(run_with_reboots(ctx, script.run), host, 1)
    host.boot("1")
    await resume_with_reboots(ctx, script.run, attach)
    process = RecordedProcess(boot, 7, 8)
    await resume_with_reboots(replace(ctx, process=process), script.run, attach)
    assert seen == [process if boot == "1" else None]


async def test_a_run_of_which_a_power_cut_has_left_nothing_is_not_taken_for_one_that_never_began(
    host, ctx
):
    """Its process is in the journal before it begins; the files that it makes may be lost with the power."""
    script, seen = Script(restarts=1), []

    async def attach(part, reboots):
        seen.append((part.process, part.spool.relative_to(ctx.spool), reboots))
        raise NothingLeft("no process, no record")

    await until_down(run_with_reboots(ctx, script.run), host, 1)
    host.boot("2")
    of_second_run = RecordedProcess("1", 7, 8)
    with pytest.raises(NothingLeft):
        await resume_with_reboots(replace(ctx, process=of_second_run), script.run, attach)
    assert seen == [(of_second_run, Path("again"), 1)]
    assert script.runs == [0]


async def test_a_host_that_stays_up_is_not_asked_again(host, ctx):
    script = Script(restarts=1)
    await until_down(run_with_reboots(ctx, script.run), host, 1)
    with pytest.raises(StepFailed, match="still up"):
        await resume_with_reboots(ctx, script.run, script.attach)
    assert (script.runs, host.times_asked) == ([0], 1)


async def test_a_script_that_never_has_enough_is_stopped(host, ctx):
    with pytest.raises(StepFailed, match="has restarted 10 times for this step already"):
        await run_with_reboots(ctx, Script(restarts=99).run, reboots=10)
    assert host.times_asked == 0


async def test_other_failures_restart_nothing(host, ctx):
    async def fail(_ctx, _reboots):
        raise StepFailed("exit code 1", outputs={"exitCode": 1})

    with pytest.raises(StepFailed, match="exit code 1"):
        await run_with_reboots(ctx, fail)
    assert host.times_asked == 0
