"""The terminal against real workers: keys of the live view, logs, diff, report; one world for all."""

import json
import os
import shutil
import sys

import pytest

from support.small_fleet import SmallFleet, lines_of, script, until
from support.tmux import Tmux

pytestmark = [pytest.mark.e2e, pytest.mark.server]

needs_tmux = pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")


@pytest.fixture(scope="module")
def fleet(temporal_server, tmp_path_factory):
    fleet = SmallFleet(temporal_server.address, tmp_path_factory.mktemp("fleet"), "a", "b")
    yield fleet
    fleet.close()


@pytest.fixture
def terminal(fleet, tmp_path):
    bare = {key: value for key, value in fleet.environment.items() if not key.startswith("PYTEST")}
    # As an older size that a shell has exported.
    terminal = Tmux(tmp_path, bare | {"COLUMNS": "80", "LINES": "24"})
    kitsune = f"{sys.executable} -m kitsune"
    terminal.kitsune = lambda command: terminal.run(f"clear; {kitsune} {command}; echo exit=$?")
    yield terminal
    terminal.close()


@pytest.fixture
def gated(fleet, tmp_path):
    """A plan of two batches with a gate between them; each server works until its file is there."""
    go, log = tmp_path / "go", tmp_path / "log"
    text = (
        f"echo $KITSUNE_SERVER_ID >> {log}; echo out of $KITSUNE_SERVER_ID; "
        f"until test -e {go}; do sleep 0.1; done"
    )
    plan = fleet.plan(
        steps=[script(text)], rolloutStrategy={"type": "Rolling", "approval": "everyBatch"}
    )
    yield plan, go, log
    go.touch()


def new_id(name):
    return f"{name}-t{os.getpid()}"


@needs_tmux
def test_keys_pause_resume_approve_and_abort_a_rollout(fleet, terminal, gated):
    plan, go, log = gated
    rollout = new_id("keys")
    terminal.kitsune(f"run {plan} --id {rollout} -y")
    terminal.wait_for("batch 1/2", fleet.servers[0], "p pause")
    terminal.type("Up", "x")
    terminal.wait_for("? shows the keys")
    terminal.type("p")
    terminal.wait_for("PAUSED", "r resume")
    terminal.type("l")
    terminal.wait_for(f"out of {fleet.servers[0]}", f"kitsune logs {rollout}")
    terminal.type("l", "r")
    terminal.wait_for("RUNNING", "p pause", without=["PAUSED"])
    go.touch()
    terminal.wait_for("gate batch-1", "a approve")
    go.unlink()
    terminal.type("a")
    terminal.wait_for("approved batch-1", fleet.servers[1])
    until(lambda: lines_of(log) == fleet.servers)
    terminal.type("A")
    terminal.wait_for("Abort? y: yes")
    terminal.type("n")
    terminal.wait_for("not aborted")
    terminal.type("A")
    terminal.wait_for("Abort? y: yes")
    terminal.type("y")
    terminal.wait_for("aborted", "exit=7", "ready$")


@needs_tmux
def test_the_terminal_is_given_back_whatever_happens(fleet, terminal, gated):
    plan = gated[0]
    rollout = new_id("given-back")
    terminal.kitsune(f"run {plan} --id {rollout} -y")
    terminal.wait_for("batch 1/2", "q detach")
    terminal.resize(60, 20)
    narrow = terminal.wait_for("batch 1/2", "q detach")
    assert narrow.count(rollout) == 1, "the screen was drawn anew"
    assert max(len(line) for line in narrow.splitlines()) <= 60
    terminal.type("C-z")
    terminal.wait_for("Stopped", without=["batch 1/2"])
    terminal.run("fg")
    terminal.wait_for("batch 1/2", "q detach")
    terminal.type("C-c")
    terminal.wait_for("detached; the rollout goes on", "ready$")
    terminal.run("clear; stty -a | tr ';' '\\n' | grep -e echo -e icanon")
    settings = terminal.wait_for("icanon", "echok").split()
    assert "-icanon" not in settings
    assert "-echo" not in settings
    terminal.kitsune(f"watch {rollout}")
    terminal.wait_for("batch 1/2", "q detach")
    terminal.type("q")
    terminal.wait_for("detached", "exit=130", "ready$")
    terminal.kitsune(f"watch {rollout}")
    terminal.wait_for("batch 1/2", "q detach")
    terminal.type("C-z")
    terminal.wait_for("Stopped", without=["batch 1/2"])
    terminal.run("clear; job=$(jobs -p %1); (sleep 3; kill -HUP $job) & fg %1")
    terminal.wait_for("batch 1/2", "q detach")
    until(lambda: "Hangup" in terminal.screen)
    assert terminal.is_given_back
    aborted = fleet.kitsune("abort", rollout)
    assert aborted.returncode == 0, aborted.stderr


def test_logs_report_and_their_exit_codes(fleet, tmp_path):
    rollout = new_id("read")
    first, second = fleet.servers
    evil = "printf 'a\\033[2Jb\\377\\n'"
    plan = fleet.plan(
        steps=[
            script(evil, name="say"),
            script(
                f'test "$KITSUNE_SERVER_ID" = {first} || {{ echo boom >&2; exit 9; }}', name="go"
            ),
        ],
        rolloutStrategy={"maxFailures": 1},
    )
    assert fleet.kitsune("run", plan, "--id", rollout).returncode == 3
    whole = fleet.kitsune("logs", rollout, first)
    assert (whole.returncode, whole.stdout) == (
        0,
        f"==> {first}: step 1 say, stdout <==\na\\x1b[2Jb\ufffd\n",
    )
    raw = fleet.begin("logs", rollout, first, "--step", "say", "--stream", "stdout", "--raw")
    assert raw.communicate(timeout=60)[0] == b"a\x1b[2Jb\xff\n"
    failed = fleet.kitsune("logs", rollout, "--failed")
    assert failed.stdout == f"==> {second}: step 2 go, stderr <==\nboom\n"
    typo = fleet.kitsune("logs", rollout, first, "--step", "sya")
    assert (typo.returncode, "did you mean 'say'" in typo.stderr) == (2, True)
    page = tmp_path / "report.html"
    assert fleet.kitsune("report", rollout, "-f", str(page)).returncode == 0
    assert "boom" in page.read_text()
    junit = fleet.kitsune("report", rollout, "--format", "junit").stdout
    assert 'tests="4" failures="1"' in junit


def test_a_diff_finds_what_differs_and_touches_nothing(fleet, tmp_path):
    path = tmp_path / "conf"
    path.write_text("old\n")
    write = {
        "name": "write",
        "type": "file_write",
        "params": {"path": str(path), "content": "new\n"},
    }
    plan = fleet.plan(steps=[write, script("true", name="go")])
    # Folders of tests are for nobody else.
    hidden = fleet.kitsune("diff", plan)
    assert ("--reveal" in hidden.stdout, "-old" in hidden.stdout) == (True, False)
    differs = fleet.kitsune("diff", plan, "--reveal")
    assert differs.returncode == 0, differs.stderr
    assert "1 write (file_write): differs on 2\n" in differs.stdout
    assert differs.stdout.count("-old\n") == 1
    assert "2 go (script): unknown on 2\n" in differs.stdout
    assert path.read_text() == "old\n"
    assert fleet.kitsune("diff", plan, "--exit-code").returncode == 10
    path.write_text("new\n")
    same = fleet.kitsune("diff", fleet.plan(steps=[write]), "--exit-code", "-o", "json")
    assert same.returncode == 0
    assert set(json.loads(same.stdout)["byServer"].values()) == {"identical"}
    nobody = fleet.plan(steps=[write], servers=[*fleet.servers, f"{fleet.prefix}.nobody"])
    away = fleet.kitsune("diff", nobody, "--patience", "1s")
    assert (away.returncode, "does not answer" in away.stdout) == (4, True)
