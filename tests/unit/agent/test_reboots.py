"""A restart is asked for once, and the boot id says whether it happened."""

import asyncio
import sys

import pytest

from kitsune.agent import proc, reboots
from kitsune.agent.reboots import asked_reboot, reboot_command
from kitsune.errors import StepFailed
from kitsune.handlers.reboot import RebootHandler, RebootParams
from kitsune.testing import HandlerBench


class Host:
    """A host whose boot id is a file of ours."""

    def __init__(self, folder):
        self._file = folder / "sys/kernel/random/boot_id"
        self._file.parent.mkdir(parents=True)
        self.asked = folder / "asked"
        self.boot("first")

    def boot(self, boot_id):
        self._file.write_text(f"{boot_id}\n")

    @property
    def command(self):
        code = f"open({str(self.asked)!r}, 'a').write('reboot ')"
        return [sys.executable, "-c", code]


@pytest.fixture
def host(tmp_path, monkeypatch):
    host = Host(tmp_path / "proc")
    monkeypatch.setattr(proc, "_PROC", tmp_path / "proc")
    return host


@pytest.fixture
def bench(tmp_path):
    return HandlerBench(RebootHandler(), state=tmp_path / "state")


def context(bench, *, timeout=60):
    return bench._context("execute", attempt=1, timeout=timeout)


async def until_asked(host):
    async with asyncio.timeout(60):
        while not host.asked.exists() or not host.asked.read_text():
            await asyncio.sleep(0.02)


async def ask_and_die(bench, host):
    """Let the host be asked, and the agent go down with it."""
    running = asyncio.create_task(bench.execute({"command": host.command}, timeout=4))
    await until_asked(host)
    running.cancel()
    await asyncio.wait({running})


async def test_another_boot_is_a_success_and_the_outputs_name_both(bench, host):
    await ask_and_die(bench, host)
    host.boot("second")
    outputs = await RebootHandler().resume(RebootParams(), context(bench))
    assert (outputs["bootIdBefore"], outputs["bootIdAfter"]) == ("first", "second")
    assert host.asked.read_text() == "reboot "


async def test_an_agent_that_only_restarted_itself_goes_on_waiting_and_asks_nobody(bench, host):
    await ask_and_die(bench, host)
    with pytest.raises(StepFailed, match="asked to restart, but the host is still up after 4s"):
        await RebootHandler().resume(RebootParams(), context(bench, timeout=4))
    assert host.asked.read_text() == "reboot "


async def test_an_agent_that_died_before_it_asked_asks(bench, host):
    params = RebootParams(command=host.command)
    with pytest.raises(StepFailed, match="still up"):
        await RebootHandler().resume(params, context(bench, timeout=2))
    assert host.asked.read_text() == "reboot "


async def test_the_boot_id_is_on_disk_before_the_host_is_asked(bench, host, monkeypatch):
    seen = []

    async def look(*_args, **_options):
        seen.append(asked_reboot(context(bench).spool))

    monkeypatch.setattr(reboots, "_run", look)
    with pytest.raises(StepFailed, match="still up"):
        await bench.execute({}, timeout=1)
    assert seen[0].boot_id == "first"


async def test_who_watches_is_told_before_the_host_is_asked(bench, host):
    await ask_and_die(bench, host)
    assert bench.reports[0]["rebooting"] is True
    assert 0 < bench.reports[0]["seconds"] <= 4


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["no-such-command"], "command not found: 'no-such-command'"),
        (["sh", "-c", "echo not now >&2; exit 4"], "ended with exit code 4: not now"),
    ],
)
async def test_a_host_that_cannot_be_asked_is_told_with_the_reason(bench, host, command, told):
    with pytest.raises(StepFailed, match=told) as failed:
        await bench.execute({"command": command}, timeout=5)
    assert failed.value.permanent


async def test_a_damaged_record_restarts_nothing(bench, host):
    await ask_and_die(bench, host)
    (context(bench).spool / "reboot.json").write_text("{")
    with pytest.raises(StepFailed, match="is damaged"):
        await RebootHandler().resume(RebootParams(command=host.command), context(bench))
    assert host.asked.read_text() == "reboot "


def test_the_environment_may_name_the_command():
    assert reboot_command({}) == ["systemctl", "reboot"]
    assert reboot_command({"KITSUNE_REBOOT_COMMAND": "shutdown -r +1"}) == ["shutdown", "-r", "+1"]
