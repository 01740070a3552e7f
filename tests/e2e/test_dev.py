"""`kitsune dev` as a real process: what it starts, and that all of it ends with it."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.server]
LOGIN = "import os, sys; os.login_tty(int(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])"


class Dev:
    """A running `kitsune dev`; its stdout and stderr go to files."""

    def __init__(self, folder, *options, terminal=None):
        self.out, self.err = folder / "out", folder / "err"
        command = [sys.executable, "-m", "kitsune", "dev", *map(str, options)]
        if "--dashboard-port" not in options:
            command.append("--no-dashboard")
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("TEMPORAL_")
        }
        environment["TMPDIR"] = str(folder / "tmp")
        (folder / "tmp").mkdir(exist_ok=True)
        if terminal is not None:
            command = [sys.executable, "-c", LOGIN, str(terminal), *command]
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=None if terminal else out,
                stderr=None if terminal else err,
                pass_fds=[terminal] if terminal else [],
            )

    def children(self):
        """Process ids of its children, by command line."""
        found = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = stat.read_text().rpartition(")")[2].split()[1]
                words = (stat.parent / "cmdline").read_text().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(parent) == self.process.pid:
                found[int(stat.parent.name)] = " ".join(words)
        return found

    def wait_until_ready(self):
        until(lambda: "kitsune list" in self.out.read_text() or self.process.poll() is not None)
        assert self.process.poll() is None, self.err.read_text()

    def address(self):
        return next(
            line.split()[1]
            for line in self.out.read_text().splitlines()
            if line.startswith("  Temporal ")
        )

    def interrupt(self):
        """Press Ctrl-C and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


def until(holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass within a minute"
        time.sleep(0.02)


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@contextmanager
def running(folder, *options, terminal=None):
    """Start it; at the end of the block nothing of it may be left, or is ended here."""
    dev = Dev(folder, *options, terminal=terminal)
    try:
        yield dev
    except BaseException:
        for text in (dev.out, dev.err, *folder.glob("**/logs/*.log")):
            print(f"--- {text}", text.read_text(errors="replace"), sep="\n")
        raise
    finally:
        children = dev.children()
        if dev.process.poll() is None:
            dev.process.kill()
            dev.process.wait()
        until(lambda: all(gone(pid) for pid in children))


def test_everything_runs_and_ends_with_ctrl_c_and_the_state_is_there_next_time(tmp_path):
    options = ("--state", tmp_path / "state", "--port", 0, "--servers", 2, "--headless")
    with running(tmp_path, *options) as dev:
        dev.wait_until_ready()
        out = dev.out.read_text()
        assert f"export TEMPORAL_ADDRESS={dev.address()}" in out
        assert f"kitsune run {tmp_path}/state/hello.yaml" in out
        children = dev.children()
        assert len(children) == 4
        temporal(dev, "workflow", "start", "--type", "Any", "--task-queue", "nobody", "-w", "kept")

        second = subprocess.run(
            [sys.executable, "-m", "kitsune", "dev", *map(str, options)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 69
        assert f"is in use by process {dev.process.pid}" in second.stderr
        assert "Traceback" not in second.stderr

        assert dev.interrupt() == 0
        assert all(gone(pid) for pid in children)
    with running(tmp_path, *options) as dev:
        dev.wait_until_ready()
        assert "kept" in temporal(dev, "workflow", "describe", "-w", "kept")
        assert dev.interrupt() == 0


def temporal(dev, *arguments):
    binary = Path(sys.executable).parent / "temporal"
    done = subprocess.run(
        [binary, *arguments, "--address", dev.address()], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_nothing_outlives_a_kill(tmp_path):
    options = ("--state", tmp_path / "state", "--port", 0, "--servers", 1, "--headless")
    with running(tmp_path, *options) as dev:
        dev.wait_until_ready()
        children = dev.children()
        dev.process.kill()
        dev.process.wait()
        # At once: it has to wait until what it inherits is free.
        (tmp_path / "next").mkdir()
        with running(tmp_path / "next", *options) as successor:
            until(lambda: all(gone(pid) for pid in children))
            successor.wait_until_ready()
            assert successor.interrupt() == 0


def test_an_ephemeral_one_leaves_no_file(tmp_path):
    with running(tmp_path, "--ephemeral", "--port", 0, "--servers", 1) as dev:
        dev.wait_until_ready()
        assert "Temporal UI  http://127.0.0.1:" in dev.out.read_text()
        assert list((tmp_path / "tmp").iterdir())
        assert dev.interrupt() == 0
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    "moment",
    ["python starts", "folder", "temporal.log", "orchestration-worker.log", "server-3.log"],
)
def test_ctrl_c_while_it_starts_leaves_nothing(tmp_path, moment):
    with running(tmp_path, "--ephemeral", "--port", 0, "--headless") as dev:
        if moment == "folder":
            until(lambda: list((tmp_path / "tmp").iterdir()))
        elif moment.endswith("log"):
            until(lambda: list((tmp_path / "tmp").glob(f"*/logs/{moment}")))
        children = dev.children()
        code = dev.interrupt()
        assert code == 0 or (moment == "python starts" and code in {-signal.SIGINT, 130, 1})
        assert all(gone(pid) for pid in children)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_second_ctrl_c_ends_everything_at_once(tmp_path):
    with running(tmp_path, "--ephemeral", "--port", 0, "--servers", 1, "--headless") as dev:
        dev.wait_until_ready()
        children = dev.children()
        worker = next(pid for pid, line in children.items() if "local-worker" in line)
        os.kill(worker, signal.SIGSTOP)  # it cannot obey a polite request
        dev.process.send_signal(signal.SIGINT)
        until(lambda: "Ctrl-C again" in dev.err.read_text())
        assert dev.interrupt() == 0
        assert all(gone(pid) for pid in children)


def test_a_ctrl_c_of_the_terminal_reaches_only_kitsune_dev(tmp_path):
    controller, terminal = os.openpty()
    with running(
        tmp_path, "--ephemeral", "--port", 0, "--servers", 1, "--headless", terminal=terminal
    ) as dev:
        os.close(terminal)
        seen = b""
        while b"kitsune list" not in seen:
            seen += os.read(controller, 4096)
        logs = next((tmp_path / "tmp").glob("*/logs"))
        kept = tmp_path / "kept.log"
        os.link(logs / "server-1.log", kept)
        os.write(controller, b"\x03")
        while b"Ctrl-C again" not in seen:
            seen += os.read(controller, 4096)
        assert dev.process.wait(60) == 0
        assert "stopped" in kept.read_text()
    os.close(controller)


def test_a_worker_that_is_killed_comes_back(tmp_path):
    with running(tmp_path, "--ephemeral", "--port", 0, "--servers", 1, "--headless") as dev:
        dev.wait_until_ready()
        worker = next(pid for pid, line in dev.children().items() if "local-worker" in line)
        os.kill(worker, signal.SIGKILL)
        until(
            lambda: any(
                "local-worker" in line and pid != worker for pid, line in dev.children().items()
            )
        )
        assert "server-1 ended with signal 9" in dev.err.read_text()
        assert dev.interrupt() == 0


def test_it_ends_when_temporal_ends(tmp_path):
    with running(
        tmp_path, "--state", tmp_path / "state", "--port", 0, "--servers", 1, "--headless"
    ) as dev:
        dev.wait_until_ready()
        children = dev.children()
        server = next(pid for pid, line in children.items() if "start-dev" in line)
        os.kill(server, signal.SIGKILL)
        assert dev.process.wait(60) == 69
        assert "Temporal ended with signal 9" in dev.err.read_text()
        assert all(gone(pid) for pid in children)


def test_a_port_that_is_taken_is_one_clear_line(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running(tmp_path, "--ephemeral", "--port", port) as dev:
            assert dev.process.wait(60) == 69
        errors = [line for line in dev.err.read_text().splitlines() if line.startswith("kitsune: ")]
        assert len(errors) == 1
        assert f"port {port}" in errors[0]
        assert "--port 0" in errors[0]


def test_the_dashboard_is_part_of_it_and_ends_with_it(tmp_path):
    import json
    import urllib.request

    with running(
        tmp_path, "--ephemeral", "--port", 0, "--servers", 1, "--headless", "--dashboard-port", 0
    ) as dev:
        dev.wait_until_ready()
        lines = dev.out.read_text().splitlines()
        url = next(line.split()[1] for line in lines if line.startswith("  dashboard "))
        with urllib.request.urlopen(f"{url}/api/v1/fleet", timeout=10) as answer:
            assert "servers" in json.load(answer)
        children = dev.children()
        assert any("dashboard" in line for line in children.values())
        assert dev.interrupt() == 0
        assert all(gone(pid) for pid in children)
