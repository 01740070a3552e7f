import os
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from kitsune.embedded import local_processes
from kitsune.embedded.local_processes import LocalProcess, clean_environment, last_lines, open_log
from kitsune.errors import EmbeddedServerError

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
CHILD = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
PARENT = f"""
import os, signal, sys
from kitsune.embedded.local_processes import LocalProcess
child = LocalProcess("child", [sys.executable, "-c", {CHILD!r}], env=os.environ)
signal.pause()
"""


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def test_a_process_ends_when_its_parent_is_killed(eventually):
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    try:
        parent.kill()
        await eventually(lambda: not is_alive(child))
    finally:
        parent.communicate()
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


async def test_a_process_whose_parent_is_gone_already_does_not_start(tmp_path):
    trace = tmp_path / "trace"
    ended = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            local_processes.die_with_parent.__file__,
            "1",
            "/usr/bin/touch",
            trace,
        ],
        check=False,
    )
    assert ended.returncode == 0
    assert not trace.exists()


async def test_a_process_that_ignores_sigterm_is_killed_after_its_grace(tmp_path, eventually):
    with open_log(tmp_path / "log") as log:
        process = LocalProcess("x", [sys.executable, "-c", STUBBORN], env=os.environ, output=log)
        await eventually(lambda: last_lines(log) == "\n  up")
        await process.stop(grace=timedelta(milliseconds=100))
    assert process.exit_code == -signal.SIGKILL
    assert not is_alive(process.pid)


async def test_killing_a_process_ends_what_it_started_in_sessions_of_its_own(tmp_path, eventually):
    with open_log(tmp_path / "log") as log:
        process = LocalProcess(
            "x",
            ["sh", "-c", "setsid sh -c 'sleep 600 & echo $! && wait' & wait"],
            env=os.environ,
            output=log,
        )
        await eventually(lambda: last_lines(log))
        grandchild = int(last_lines(log))
    assert is_alive(grandchild)
    process.kill()
    await process.wait()
    await eventually(lambda: not is_alive(grandchild))


async def test_ending_a_process_twice_is_harmless():
    process = LocalProcess("x", ["sleep", "600"], env=os.environ)
    await process.stop()
    await process.stop()
    process.kill()
    assert process.exit_code == -signal.SIGTERM


async def test_a_process_is_out_of_reach_of_the_terminals_ctrl_c():
    process = LocalProcess("x", ["sleep", "600"], env=os.environ)
    assert os.getsid(process.pid) == process.pid
    await process.stop()


async def test_a_program_that_is_missing_is_named():
    with pytest.raises(EmbeddedServerError, match="cannot start x: no program 'no-such-program'"):
        LocalProcess("x", ["no-such-program"], env=os.environ)


async def test_a_working_folder_that_is_missing_is_an_error_in_words(tmp_path):
    with pytest.raises(EmbeddedServerError, match="cannot start x: No such file or directory"):
        LocalProcess("x", ["sleep", "1"], env=os.environ, cwd=tmp_path / "none")


def test_children_are_not_led_to_another_temporal(monkeypatch):
    monkeypatch.setenv("TEMPORAL_API_KEY", "secret")
    monkeypatch.setenv("SERVER_ID", "web-1")
    environment = clean_environment(TEMPORAL_ADDRESS="here:1")
    assert {key for key in environment if key.startswith("TEMPORAL_")} == {"TEMPORAL_ADDRESS"}
    assert "SERVER_ID" not in environment
    assert environment["PATH"] == os.environ["PATH"]


def test_a_log_goes_on_where_it_ended_and_is_begun_anew_when_it_is_too_large(tmp_path, monkeypatch):
    path = tmp_path / "log"
    for _ in range(2):
        with open_log(path) as log:
            log.write(b"line\n")
    assert path.read_bytes() == b"line\nline\n"
    assert path.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(local_processes, "LOG_LIMIT", 5)
    open_log(path).close()
    assert path.read_bytes() == b""


def test_the_last_lines_of_a_log_are_those_of_its_last_process(tmp_path):
    with open_log(tmp_path / "log") as log:
        log.write(b"of yesterday\n")
        log.flush()
        start = log.seek(0, 2)
        assert last_lines(log, start=start) == ""
        log.write(b"\xff" * 9000 + b"\n\none\ntwo\n")
        log.flush()
        assert last_lines(log, start=start, count=2) == "\n  one\n  two"
