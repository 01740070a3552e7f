"""A world of real processes that a test may kill, cut off, fill up and set the clock of."""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError

from faults.isolation import Isolation
from kitsune import names
from kitsune.embedded.ports import free_port
from kitsune.embedded.temporal_command import server_command
from kitsune.models.results import RolloutResult
from support.bench import connect

#: For everything that is waited for: a hung process must fail its test, not the whole run.
PATIENCE = 90
#: A process that loses its parent, the test, is killed by the kernel.
_DIES_WITH_US = ["setpriv", "--pdeathsig", "KILL"]
_NUMBERS = itertools.count(1)
_ENDINGS = (names.FAILURE_ROLLOUT_STOPPED, names.FAILURE_ROLLOUT_ABORTED)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts need root")
_FREEZER = Path("/sys/fs/cgroup/freezer")
needs_freezer = pytest.mark.skipif(
    os.geteuid() != 0 or not _FREEZER.is_dir(),
    reason="only the freezer of cgroup v1 (and root) makes a process that cannot be killed",
)
needs_faketime = pytest.mark.skipif(not shutil.which("faketime"), reason="faketime is missing")


def now():
    """Return the seconds since boot, the clock of the ledger."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@contextlib.contextmanager
def freezer(name):
    """Yield a folder in which processes can be frozen so that no signal ends them, as if their disk had died."""
    folder = _FREEZER / name
    folder.mkdir()
    try:
        yield folder
    finally:
        (folder / "freezer.state").write_text("THAWED")
        until(lambda: not (folder / "cgroup.procs").read_text(), "what was frozen has ended")
        folder.rmdir()


def until(holds, what="it", patience=PATIENCE):
    """Wait until something holds and return it."""
    deadline = time.monotonic() + patience
    while not (seen := holds()):
        assert time.monotonic() < deadline, f"{what} did not come to pass in {patience} s"
        time.sleep(0.05)
    return seen


class Process:
    """A process that can be started again as it was."""

    def __init__(self, name, command, *, log, env=None, ready=None):
        self.name, self.command, self.log, self.env, self.ready = name, command, log, env, ready
        self.running = None

    @property
    def alive(self):
        return self.running is not None and self.running.poll() is None

    def start(self, **environ):
        assert not self.alive, f"{self.name} runs already"
        if self.ready:
            self.ready.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [*_DIES_WITH_US, *self.command],
                env=(self.env or dict(os.environ)) | environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def await_ready(self):
        if self.ready:
            until(lambda: self.ready.exists() or not self.alive, f"{self.name} is ready")
            assert self.alive, f"{self.name} has ended: {self.log.read_text()[-2000:]}"
        return self

    def kill(self):
        """End it as the kernel would: at once, without a word."""
        self.end(signal.SIGKILL)

    def end(self, how=signal.SIGTERM):
        if self.alive:
            self.running.send_signal(how)
        self.await_end()

    def await_end(self):
        if self.running is None:
            return
        try:
            self.running.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait(PATIENCE)
            raise


class Server(Process):
    """A local worker with its own state folder, and what it is shut into."""

    def __init__(self, world, name, **isolation):
        self.id = f"{world.prefix}.{name}"
        self.state = world.folder / f"{name}.state"
        if "image" in isolation:
            self.state = world.folder / f"{name}.disk" / "state"
        self.isolation = Isolation(self.id, world, self.state, **isolation)
        ready = world.folder / f"{name}.ready"
        command = [
            *self.isolation.prefix,
            *[sys.executable, "-m", "kitsune", "local-worker", "--ready-file", str(ready)],
        ]
        env = world.environment | {
            "SERVER_ID": self.id,
            "KITSUNE_STATE_DIR": str(self.state),
            "TEMPORAL_ADDRESS": self.isolation.address,
        }
        env |= self.isolation.environment
        super().__init__(name, command, log=world.folder / f"{name}.log", env=env, ready=ready)

    def lose_power(self, boot_id):
        """End its host with what its disk has not written; `start` is another boot."""
        self.isolation.cut_power(self.kill)
        self.isolation.set_boot(boot_id)

    def freeze(self, seconds):
        """Let it hang, as a machine that swaps, and go on after that."""
        if self.alive:
            self.running.send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            self.running.send_signal(signal.SIGCONT)

    def cut(self):
        self.isolation.link("down")

    def mend(self):
        self.isolation.link("up")


class World:
    """Temporal on a file, an orchestration worker and servers, all of them processes of their own."""

    def __init__(self, folder):
        self.folder = folder
        self.prefix = f"kt-{os.getpid()}-{next(_NUMBERS)}"
        self.ledgers = folder / "ledgers"
        self.ledgers.mkdir(parents=True)
        self.servers, self.commands = {}, []
        self.rollouts = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith("TEMPORAL_")
        } | {
            "TEMPORAL_ADDRESS": self.address,
            "TEMPORAL_CONFIG_FILE": str(folder / "none.toml"),
        }
        command = server_command(
            port=self.port, ui_port=None, database=folder / "temporal.db", settings={}
        )
        self.temporal = Process("temporal", command, log=folder / "temporal.log")
        ready = folder / "orchestrator.ready"
        self.orchestrator = Process(
            "orchestrator",
            [sys.executable, "-m", "kitsune", "orchestration-worker", "--ready-file", str(ready)],
            log=folder / "orchestrator.log",
            env=self.environment,
            ready=ready,
        )
        self.client = None

    def __enter__(self):
        try:
            self.temporal.start()
            self.orchestrator.start()
            self.client = until(self._connect, "Temporal answers")
            self.orchestrator.await_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End every process and remove every namespace; complain about what cannot be ended."""
        for process in [
            *self.commands,
            *self.servers.values(),
            self.orchestrator,
            self.temporal,
        ]:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.kill()
        for pid in self.strays():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for server in self.servers.values():
            server.isolation.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()
        until(lambda: not self.strays(), "everything has ended")
        mounts = Path("/proc/mounts").read_text()
        assert str(self.folder) not in mounts, f"a mount is left below {self.folder}"

    def strays(self):
        """Return processes that carry a server id of this world or run from its folder."""
        marks = (self.prefix + ".", str(self.folder))
        return [pid for pid, text in _processes() if any(mark in text for mark in marks)]

    def processes_of(self, rollout_id):
        """Return processes of a rollout's scripts that still run."""
        mark = f"{names.ENV_ROLLOUT_ID}={rollout_id}\0"
        return [pid for pid, text in _processes() if mark in text]

    def add(self, *given, **isolation):
        """Make servers, start those that do not run and wait until all are ready."""
        for name in given:
            if name not in self.servers:
                self.servers[name] = Server(self, name, **isolation)
        servers = [self.servers[name] for name in given]
        for server in servers:
            if not server.alive:
                server.start()
        for server in servers:
            server.await_ready()
        return servers[0] if len(servers) == 1 else servers

    def start(self, servers, steps, *, rollout_id=None, **keys):
        """Start a rollout and return its handle."""
        rollout_id = rollout_id or f"{self.prefix}-rollout-{next(_NUMBERS)}"
        plan = {"servers": [server.id for server in servers], "steps": steps, **keys}
        self.rollouts.append(rollout_id)
        return self.call(
            self.client.start_workflow(
                names.ORCHESTRATION_WORKFLOW,
                plan,
                id=rollout_id,
                task_queue=names.ORCHESTRATOR_QUEUE,
                result_type=RolloutResult,
            )
        )

    def end_of(self, handle, patience=PATIENCE):
        """Wait for a rollout's end, whatever happens to Temporal meanwhile, and return its result."""
        return self.call(_end_of(handle), patience)

    def run(self, servers, steps, **keys):
        handle = self.start(servers, steps, **keys)
        return handle, self.end_of(handle)

    def call(self, awaitable, patience=PATIENCE):
        async def bounded():
            return await asyncio.wait_for(awaitable, patience)

        return asyncio.run_coroutine_threadsafe(bounded(), self._loop).result(patience + 10)

    def in_loop(self, make):
        """Run a function that returns an awaitable in the loop of the world."""

        async def inner():
            return await make()

        return self.call(inner())

    def process(self, name, *arguments, log):
        """Return a command that may run beside the test."""
        command = [sys.executable, "-m", "kitsune", *arguments]
        self.commands.append(Process(name, command, log=log, env=self.environment))
        return self.commands[-1]

    def kitsune(self, *arguments, **environ):
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "kitsune", *arguments],
            env=self.environment | environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def plan_file(self, servers, steps, **keys):
        path = self.folder / f"plan-{next(_NUMBERS)}.json"
        plan = {"servers": [server.id for server in servers], "steps": steps, **keys}
        path.write_text(json.dumps(plan))
        return str(path)

    def step(self, name="work", body="", *, rollback="", **keys):
        """Return a script step that notes its START and END; the same for its rollback."""
        params = keys.pop("params", {})
        prelude = (
            "note() { read -r up _ < /proc/uptime; "
            'echo "$KITSUNE_ROLLOUT_ID $KITSUNE_OPERATION.$KITSUNE_REBOOTS $KITSUNE_SERVER_ID $KITSUNE_STEP '
            f'$KITSUNE_ATTEMPT $1 $up $$" >> {self.ledgers}/$KITSUNE_SERVER_ID; }}\n'
        )
        script = {
            "inline": f"{prelude}note START\n{body}\nnote END\n",
            "rollbackInline": f"{prelude}note UNDO\n{rollback}\nnote UNDONE\n",
        }
        return {"name": name, "type": "script", "params": script | params, **keys}

    def hold(self):
        """Return a file to wait for, and the shell words that wait for it."""
        path = self.folder / f"hold-{next(_NUMBERS)}"
        return path, f"while ! [ -e {path} ]; do sleep 0.1; done"

    def ledger(self, rollout_id, server=None):
        """Return what the scripts of a rollout noted, in order."""
        paths = sorted(self.ledgers.iterdir()) if server is None else [self.ledgers / server.id]
        lines = [Note(line) for path in paths if path.exists() for line in _lines(path)]
        return [note for note in lines if note.rollout_id == rollout_id]

    def pending_step(self, server):
        """Return whether an agent has been handed a step and has not answered."""
        handle = self.client.get_workflow_handle(names.server_execution_id(server.id))
        with contextlib.suppress(RPCError):
            pending = self.call(handle.describe()).raw_description.pending_activities
            return any(
                one.activity_type.name == names.EXECUTE_STEP and one.HasField("last_started_time")
                for one in pending
            )

    def await_note(self, handle, kind, *, server=None, count=1):
        return until(
            lambda: sum(note.kind == kind for note in self.ledger(handle.id, server)) >= count,
            f"{count} {kind} of {handle.id}",
        )

    def _connect(self):
        with contextlib.suppress(RuntimeError, RPCError):
            client = self.call(connect(self.address))
            self.call(client.service_client.check_health())
            return client


class Note:
    """A line of the ledger."""

    def __init__(self, line):
        words = line.split()
        self.rollout_id, self.operation, self.server_id, self.step = words[:4]
        self.attempt, self.kind, self.at, self.pid = (
            int(words[4]),
            words[5],
            float(words[6]),
            int(words[7]),
        )

    def __repr__(self):
        return f"{self.kind} {self.step} of {self.server_id} at {self.at}"


def _lines(path):
    return [line for line in path.read_text().splitlines() if line]


def _processes():
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and int(folder.name) != os.getpid():
            with contextlib.suppress(OSError):
                text = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
                yield int(folder.name), text.decode(errors="replace")


async def _end_of(handle):
    while True:
        try:
            return await handle.result()
        except WorkflowFailureError as error:
            if getattr(error.cause, "type", "") in _ENDINGS:
                return RolloutResult.model_validate(error.cause.details[0])
            raise
        except RPCError:  # Temporal is away
            await asyncio.sleep(0.2)
