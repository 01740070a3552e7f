"""What servers print and what operators' terminals do must harm nobody: not the terminal, not the rollout."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios

import pytest

from faults.harness import until
from faults.oracle import check_invariants

pytestmark = [pytest.mark.faults, pytest.mark.e2e, pytest.mark.timeout(180)]

#: What a terminal, a page or a template might obey; each stands on a line of its own.
HOSTILE = [
    b"\x1b]52;c;aGFja2Vk\x07",  # writes the clipboard
    b"\x1b]0;owned\x07",  # renames the window
    b"\x1b[2J\x1b[H\x1bc",  # clears the screen, resets the terminal
    b"\x1bP+q544e\x1b\\",  # asks the terminal, whose answer would be typed
    b"\x9b31m raw C1",
    "\u009b31m C1 as text \u0085".encode(),
    "\u202egnp.exe \u2066 \ufeff \u200b".encode(),
    b"10%\r20%\r\x08\x08\x0b\x0c done",
    b"\x00\xff\xfe\xc3\x28 no text",
    b"<script>alert(1)</script> {{ 7 * 7 }} ${HOME} [bold red]x[/] :smile:",
]
#: Characters that may stand in what is meant for people.
_HARMLESS = {"\n"}


def harmful(text):
    return sorted({char for char in text if not char.isprintable() and char not in _HARMLESS})


def test_hostile_output_reaches_nobodys_terminal(world, record_recovery):
    a = world.add("o2")
    file = world.folder / "hostile"
    file.write_bytes(b"\n".join(HOSTILE) + b"\n")
    size = file.stat().st_size
    line = 10_000_000
    body = f"cat {file}; cat {file} >&2; head -c {line} /dev/zero | tr '\\0' y; echo; cat {file}; "
    rollout = f"{world.prefix}-o2"
    plan = world.plan_file([a], [world.step("print", body + "exit 9")])
    with record_recovery("O2", expected="stored as it is, shown without what obeys") as seen:
        ran = world.kitsune("run", plan, "-y", "--id", rollout)
        shown = [ran.stdout, ran.stderr]
        for command in ("status", "watch", "rollback"):
            done = world.kitsune(command, rollout, *(["-y"] if command == "rollback" else []))
            shown += [done.stdout, done.stderr]
        assert ran.returncode == 5
        assert "<script>alert(1)" in "".join(shown), "the end of what it printed is shown"
        seen(f"harmful in {len(shown)} texts: {[harmful(text) for text in shown if harmful(text)]}")
    assert [harmful(text) for text in shown if harmful(text)] == []
    told = world.kitsune("status", rollout, "-o", "json").stdout
    assert harmful(told) == []
    (step,) = json.loads(told)["results"][0]["stepsExecuted"]
    assert step["outputs"]["stdout"]["bytes"] == 2 * size + line + 1
    assert step["outputs"]["stderr"]["bytes"] == size
    assert step["outputs"]["stderr"]["text"] == file.read_bytes().decode(errors="replace")
    agent = a.log.read_text(errors="surrogateescape")
    assert harmful(agent) == []
    check_invariants(world, rollout)


class Terminal:
    """A command on a terminal of its own, which may be closed at any time."""

    def __init__(self, world, *arguments):
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        self.seen = b""
        self.process = subprocess.Popen(
            ["setsid", "--ctty", sys.executable, "-m", "kitsune", *arguments],
            env=world.environment | {"TERM": "xterm-256color"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)

    def shows(self, text):
        ready, _, _ = select.select([self.master], [], [], 0.2)
        if ready:
            self.seen += os.read(self.master, 65536)
        return text in self.seen

    def press(self, key):
        os.write(self.master, key)


def test_a_terminal_that_is_closed_takes_nothing_with_it(world, record_recovery):
    a = world.add("u1")
    path, waits = world.hold()
    body = f"cat {world.folder}/live; {waits}"
    (world.folder / "live").write_bytes(HOSTILE[0] + HOSTILE[1] + b"\n")
    rollout = f"{world.prefix}-u1"
    plan = world.plan_file([a], [world.step("one", body), world.step("two")])
    terminal = Terminal(world, "run", plan, "-y", "--id", rollout)
    until(lambda: terminal.shows(b"one"), "the live view shows the running step")
    terminal.press(b"l")
    until(lambda: terminal.shows(b"owned"), "the live view shows what the script prints")
    assert b"\x1b]" not in terminal.seen
    with record_recovery("U1", expected="the rollout goes on; the command ends") as seen:
        os.close(terminal.master)
        code = terminal.process.wait(60)
        path.touch()
        watched = world.kitsune("watch", rollout)
        seen(f"exit {code}; watched to its end: exit {watched.returncode}")
    assert code in (130, -signal.SIGHUP)
    assert watched.returncode == 0
    check_invariants(world, rollout)


PLAIN = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_any_terminal_and_any_pipe_will_do(world, record_recovery):
    a = world.add("u2")
    rollout = f"{world.prefix}-u2"
    plan = world.plan_file([a], [world.step("größe-漢字-🦊", "echo größe; exit 3")])
    with record_recovery("U2", expected="no traceback, no escapes, no wrong exit code") as seen:
        surroundings = PLAIN | {"TERM": "dumb", "COLUMNS": "40", "NO_COLOR": "1"}
        ran = world.kitsune("run", plan, "-y", "--id", rollout, **surroundings)
        assert ran.returncode == 5
        for environ in ({"COLUMNS": "1"}, surroundings, {"TERM": ""}, {"FORCE_COLOR": "1"}):
            for command in (["status", rollout], ["list"], ["watch", rollout], ["plan"]):
                done = world.kitsune(*command, **environ)
                assert done.returncode in (0, 2, 5), done.stderr
                assert "Traceback" not in done.stdout + done.stderr
                if "FORCE_COLOR" not in environ:
                    assert "\x1b" not in done.stdout + done.stderr
        for command in (f"status {rollout} -o json", f"watch {rollout}", "list", "--help"):
            words = f"{sys.executable} -m kitsune {command} | head -c 1"
            piped = subprocess.run(
                ["sh", "-c", words],
                env=world.environment,
                capture_output=True,
                timeout=60,
                check=False,
            )
            assert b"Traceback" not in piped.stderr, piped.stderr
            assert b"Broken" not in piped.stderr, piped.stderr
        seen("4 surroundings, 4 closed pipes")
    check_invariants(world, rollout)
