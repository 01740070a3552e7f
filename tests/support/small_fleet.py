"""A few real worker processes and the command line against them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from kitsune.embedded.ports import LOOPBACK, free_port

KITSUNE = [sys.executable, "-m", "kitsune"]
#: For things that take a moment at most; a hung process must fail its test, not the whole run.
PATIENCE = 100


class SmallFleet:
    """An orchestration worker and local workers, each a process of its own."""

    def __init__(self, address, folder, *names, on_servers=None, metrics=False, environment=None):
        self.folder = folder
        self.prefix = f"e2e-{os.getpid()}"
        self.servers = [f"{self.prefix}.{name}" for name in names]
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith("TEMPORAL_")
        } | {
            "TEMPORAL_ADDRESS": address,
            "TEMPORAL_CONFIG_FILE": str(folder / "none.toml"),
            "PYTHONWARNINGS": "default",
            **(environment or {}),
        }
        self._processes = []
        self._serves_metrics = metrics
        self.metrics = {}
        ready = [self._start("orchestration-worker", "orchestrator")]
        ready += [
            self._start("local-worker", name, SERVER_ID=name, **(on_servers or {}))
            for name in self.servers
        ]
        until(lambda: all(path.exists() for path in ready))

    def _start(self, command, name, **environment):
        ready = self.folder / f"{name}.ready"
        state = {"KITSUNE_STATE_DIR": str(self.folder / f"{name}.state")}
        if self._serves_metrics:
            self.metrics[name] = environment["KITSUNE_METRICS_ADDRESS"] = (
                f"{LOOPBACK}:{free_port()}"
            )
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*KITSUNE, command, "--ready-file", str(ready)],
                env=self.environment | state | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._processes.append(process)
        return ready

    def restart_orchestrator(self):
        """Kill the orchestration worker, and start another one."""
        self._processes[0].kill()
        self._processes.pop(0).wait(PATIENCE)
        (self.folder / "orchestrator.ready").unlink(missing_ok=True)
        ready = self._start("orchestration-worker", "orchestrator")
        self._processes.insert(0, self._processes.pop())
        until(ready.exists)

    def close(self):
        """End every worker that this fleet has started."""
        end_all(self._processes)

    def plan(self, **keys):
        """Write a plan for all servers and return its path."""
        raw = {"name": "e2e", "servers": self.servers, **keys}
        path = self.folder / f"plan-{len(list(self.folder.glob('plan-*')))}.json"
        path.write_text(json.dumps(raw))
        return str(path)

    def kitsune(self, *arguments):
        """Run a command to its end."""
        return subprocess.run(
            [*KITSUNE, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def begin(self, *arguments, **options):
        """Start a command and return its process."""
        defaults = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        return subprocess.Popen(
            [*KITSUNE, *arguments], env=self.environment, **(defaults | options)
        )


def script(inline, **step):
    """Return a step that runs a shell script."""
    rollback = step.pop("rollback", "true")
    return {
        "name": step.pop("name", "work"),
        "type": "script",
        "params": {"inline": inline, "rollbackInline": rollback},
        **step,
    }


def until(holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"it did not come to pass within {PATIENCE} s"
        time.sleep(0.02)


def interrupt(process):
    """Press Ctrl-C and return exit code, stdout and stderr."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out.decode(), err.decode()


def lines_of(path):
    path = Path(path)
    return path.read_text().split() if path.exists() else []


def end_all(processes):
    """Ask processes to end, and end those that do not."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)
