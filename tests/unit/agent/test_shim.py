"""Scripts under their shim, with real processes: the agent dies at any moment, and nothing is lost or left."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kitsune.agent import shim
from kitsune.agent.failpoints import FAIL_POINTS
from kitsune.agent.proc import read_process
from kitsune.agent.processes import alive_members
from kitsune.errors import NothingLeft, StepFailed
from kitsune.handlers.script import ScriptHandler
from kitsune.testing import HandlerBench

#: An agent in a process of its own, so that it can be killed.
AGENT = """
import asyncio, json, sys
from pathlib import Path
from kitsune.agent.proc import process_start_time
from kitsune.handlers.script import ScriptHandler
from kitsune.testing import HandlerBench

state, params = sys.argv[1:]

class Bench(HandlerBench):
    async def _record_process(self, pid):
        Path(state, "process").write_text(json.dumps([pid, process_start_time(pid)]))

asyncio.run(Bench(ScriptHandler(), state=Path(state)).execute(json.loads(params)))
"""


class Server:
    """A server whose agents die."""

    def __init__(self, folder):
        self.state = folder / "state"
        self.state.mkdir()
        self.ledger, self.hold = folder / "ledger", folder / "hold"
        self.bench = HandlerBench(ScriptHandler(), state=self.state)
        self.agent = None

    def script(self, **more):
        text = (
            f"echo START >> {self.ledger}; echo begun\n"
            f"while ! [ -e {self.hold} ]; do sleep 0.02; done\n"
            f"echo END >> {self.ledger}; echo done"
        )
        return {"inline": text, **more}

    def start(self, params, **env):
        self.agent = subprocess.Popen(
            [sys.executable, "-c", AGENT, self.state, json.dumps(params)],
            env={**os.environ, **env},
        )

    def notes(self):
        return self.ledger.read_text().split() if self.ledger.exists() else []

    def adopt(self):
        """Let this process be the next agent: it knows what the journal would."""
        self.bench.attempt = 1
        with contextlib.suppress(FileNotFoundError):
            pid, start = json.loads((self.state / "process").read_text())
            self.bench.processes, self.bench._start_times = [pid], {pid: start}

    async def resume(self, params):
        self.adopt()
        return await self.bench.resume(params)

    @property
    def shim(self):
        return json.loads((self.state / "process").read_text())[0]

    @property
    def spool(self):
        return next((self.state / "operations").glob("*/exit.json*")).parent


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path)
    yield server
    if server.agent:
        server.agent.kill()
        server.agent.wait()
    for pid in alive_members(server.bench.operation_id):
        os.kill(pid, signal.SIGKILL)


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


async def begun_and_orphaned(server, params):
    server.start(params)
    await until(lambda: server.notes() == ["START"])
    server.agent.kill()
    server.agent.wait()


async def test_a_script_outlives_its_agent_and_the_next_one_takes_over(server):
    params = server.script()
    await begun_and_orphaned(server, params)
    resumed = asyncio.create_task(server.resume(params))
    await asyncio.sleep(0.1)
    assert not resumed.done()
    server.hold.touch()
    outputs = await resumed
    assert outputs["stdout"]["text"] == "begun\ndone\n"
    assert outputs["exitCode"] == 0
    assert server.notes() == ["START", "END"]


async def test_what_ended_while_nobody_was_there_is_reported(server):
    params = server.script()
    await begun_and_orphaned(server, params)
    server.hold.touch()
    await until(lambda: not (found := read_process(server.shim)) or found.ended)
    assert (await server.resume(params))["stdout"]["text"] == "begun\ndone\n"
    assert server.notes() == ["START", "END"]


async def test_a_script_that_died_with_its_shim_is_never_run_again(server):
    params = server.script()
    await begun_and_orphaned(server, params)
    for pid in alive_members(server.bench.operation_id):
        with contextlib.suppress(ProcessLookupError):  # the first one may take the others along
            os.kill(pid, signal.SIGKILL)
    await until(lambda: not alive_members(server.bench.operation_id))
    with pytest.raises(NothingLeft):
        await server.resume(params)
    assert server.notes() == ["START"]


async def test_a_shim_that_is_killed_alone_takes_its_script_along(server):
    params = server.script()
    server.start(params)
    await until(lambda: server.notes() == ["START"])
    os.kill(server.shim, signal.SIGKILL)
    assert server.agent.wait(60) != 0
    assert alive_members(server.bench.operation_id) == []


@pytest.mark.parametrize("point", sorted(name for name in FAIL_POINTS if name.startswith("shim.")))
async def test_an_agent_that_dies_at_any_moment_leaves_one_run_of_the_script(server, point):
    params = server.script()
    server.hold.touch()
    server.start(params, KITSUNE_FAILPOINTS=f"{point}=kill")
    assert server.agent.wait(60) == -signal.SIGKILL
    outputs = await server.resume(params)
    assert outputs["stdout"]["text"] == "begun\ndone\n"
    assert server.notes() == ["START", "END"]


async def test_a_shim_that_was_never_told_to_go_does_not_disturb_the_next_one(server):
    params = server.script()
    server.start(params, KITSUNE_FAILPOINTS="shim.ready=sleep:100")
    await until(lambda: any(server.state.glob("operations/*/exit.json.new")))
    (late,) = alive_members(server.bench.operation_id)
    os.kill(late, signal.SIGSTOP)
    server.agent.kill()
    server.agent.wait()
    resumed = asyncio.create_task(server.resume(params))
    await until(lambda: server.notes() == ["START"])
    assert not (found := read_process(late)) or found.ended
    server.hold.touch()
    assert (await resumed)["exitCode"] == 0
    assert server.notes() == ["START", "END"]


async def test_an_agent_that_lets_go_leaves_the_script_alone(server):
    params = server.script()
    running = asyncio.create_task(server.bench.execute(params))
    await until(lambda: server.notes() == ["START"])
    server.bench.letting_go = True
    running.cancel()
    await asyncio.wait({running})
    server.hold.touch()
    assert (await server.bench.resume(params))["exitCode"] == 0
    assert server.notes() == ["START", "END"]


async def test_the_step_ends_in_time_without_an_agent(server):
    params = {"inline": f"echo START >> {server.ledger}; trap '' TERM; sleep 60; :", "killGrace": 0}
    code = AGENT.replace("json.loads(params))", "json.loads(params), timeout=2)")
    server.agent = subprocess.Popen([sys.executable, "-c", code, server.state, json.dumps(params)])
    await until(lambda: server.notes() == ["START"])
    server.agent.kill()
    await until(lambda: not alive_members(server.bench.operation_id))
    with pytest.raises(StepFailed, match="timed out after"):
        await server.resume(params)


DAEMON = """
import os, signal, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "a").write(f"{os.getpid()}\\n")
os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(100)"], {})
"""


async def test_no_daemon_escapes_that_forked_twice_and_emptied_its_environment(server, tmp_path):
    pids, daemon = tmp_path / "pids", tmp_path / "daemon.py"
    daemon.write_text(DAEMON)
    text = f"{sys.executable} {daemon} {pids}\nsleep 100 & kill -STOP $!\necho $! >> {pids}\nwait"
    running = asyncio.create_task(server.bench.execute({"inline": text, "killGrace": "0.2s"}))
    await until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    running.cancel()
    await asyncio.wait({running})
    found = [read_process(int(pid)) for pid in pids.read_text().split()]
    assert all(process is None or process.ended for process in found)


async def test_much_output_costs_no_memory(server):
    text = f"head -c 300000000 /dev/zero; echo the end; while ! [ -e {server.hold} ]; do sleep 0.02; done"
    running = asyncio.create_task(server.bench.execute({"inline": text}))
    await until(lambda: any(Path(server.state, "operations").glob("*/stdout.tail")))
    tail = next((server.state / "operations").glob("*/stdout.tail"))
    await until(lambda: tail.read_bytes()[:20] == b"%020d" % 300_000_008)
    status = Path(f"/proc/{server.bench.processes[0]}/status").read_text()
    peak = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    server.hold.touch()
    outputs = await running
    assert peak < 40_000
    assert outputs["stdout"]["bytes"] == 300_000_008
    assert outputs["stdout"]["text"].endswith("the end\n")


@pytest.mark.parametrize(
    ("limits", "text", "said"),
    [
        ({"processes": 5}, "for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; wait", "processes"),
        (
            {"memory": "64MiB"},
            f"exec {sys.executable} -c 'x = bytearray(300 << 20)\nimport time; time.sleep(60)'",
            "bytes of memory",
        ),
    ],
)
async def test_a_script_over_its_limit_is_ended_and_told_so(server, limits, text, said):
    with pytest.raises(StepFailed, match=said) as failure:
        await server.bench.execute({"inline": text, "limits": limits})
    assert "limit is" in str(failure.value)
    assert alive_members(server.bench.operation_id) == []


async def test_what_a_script_was_given_is_not_on_disk_once_it_has_ended(server):
    params = server.script(env={"TOKEN": "geheim-1"}, stdin="geheim-2")
    params["inline"] += "\n# geheim-3"
    server.hold.touch()
    await server.bench.execute(params)
    for file in server.state.rglob("*"):
        assert not file.is_file() or b"geheim" not in file.read_bytes(), file


def missing_controllers():
    """Return why the kernel does not enforce limits for us, or nothing where it does."""
    group = shim._own_cgroup()
    if not group:
        return "no cgroup v2 here"
    given = Path(group, "cgroup.subtree_control").read_text().split()
    offered = Path(group, "cgroup.controllers").read_text().split()
    if {"memory", "pids"} <= set(given):
        return ""
    return (
        f"{group} gives its children no memory and pids controllers (gives: {' '.join(given) or 'none'}, "
        f"offered: {' '.join(offered) or 'none'}): the shim looks for itself, and other tests hold it to that"
    )


@pytest.mark.skipif(bool(missing_controllers()), reason=missing_controllers())
async def test_the_kernel_itself_refuses_what_is_over_the_limit(server):
    text = f"n=0; while [ $n -lt 200 ]; do (echo START >> {server.ledger}; sleep 60) & n=$((n+1)); done; wait"
    with pytest.raises(StepFailed, match="its limit is 20"):
        await server.bench.execute({"inline": text, "limits": {"processes": 20}})
    assert 0 < len(server.notes()) <= 20
    assert alive_members(server.bench.operation_id) == []


def test_the_fail_points_are_these():
    assert len(FAIL_POINTS) == 13


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"exitCode": 0, "signal": None, "endedBy": "timeout", "startedAt": 1764111111.25},
        {"left": [1, 2], "limit": {"name": "memory", "limit": 10, "used": 11}, "yes": True},
        {"spoolError": 'stdout is not whole: "no" \\ space\n\x00 é \ud83e'},
    ],
)
def test_its_record_is_json(record):
    assert json.loads(shim._json(record)) == json.loads(json.dumps(record))
