"""`kitsune demo` as a real process: it ends well and leaves nothing, whatever the moment."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kitsune.cli import demo as demo_command
from kitsune.cli.demo import PLANS
from kitsune.cli.exits import Exit

pytestmark = [pytest.mark.e2e, pytest.mark.server]
COMMAND = [sys.executable, "-m", "kitsune", "demo"]


@pytest.fixture
def environment(tmp_path):
    """Everything that the demo may leave is in `tmp_path/tmp`, and nothing leads it to another Temporal."""
    (tmp_path / "tmp").mkdir()
    return {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "TEMPORAL_ADDRESS": "nowhere.invalid:1"}


def processes_of(folder):
    """Return what mentions the folder in its environment or on its command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
        except OSError:  # it has ended, or is not ours
            continue
        if str(folder).encode() in text:
            found.append(entry.name)
    return found


def test_the_demo_shows_a_good_rollout_and_one_that_is_undone(tmp_path, environment):
    done = subprocess.run(
        COMMAND,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    story = [
        "Temporal UI  http://127.0.0.1:",
        "$ kitsune run release-1.yaml --yes",
        "server-5: release 1 (releases: 1)",
        "$ kitsune run release-2.yaml --yes",
        "no such table: carts",
        "Its exit code is 5",
        "server-4: release 1 (releases: 1 → 2 → 1)",
        "$ kitsune list",
        "Every server is back on release 1",
    ]
    places = [done.stdout.find(words) for words in story]
    assert -1 not in places
    assert places == sorted(places)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert processes_of(tmp_path) == []


def test_ctrl_c_in_the_middle_of_a_rollout_ends_everything(tmp_path, environment):
    with (tmp_path / "out").open("wb") as out:
        demo = subprocess.Popen(
            COMMAND,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    deadline = time.monotonic() + 60
    while b"server-1 started" not in (tmp_path / "out").read_bytes():
        assert time.monotonic() < deadline
        assert demo.poll() is None
        time.sleep(0.02)
    os.killpg(
        demo.pid, signal.SIGINT
    )  # as a terminal does: to the demo and to the command that it runs
    assert demo.wait(60) == 130
    assert list((tmp_path / "tmp").iterdir()) == []
    assert processes_of(tmp_path) == []


def test_a_surprise_ends_the_demo_with_exit_1_and_keeps_its_logs(tmp_path, monkeypatch, capfd):
    plans = tmp_path / "plans"
    plans.mkdir()
    (plans / "release-1.yaml").write_text("servers: []\n")
    monkeypatch.setattr(demo_command, "PLANS", plans)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert demo_command.demo.callback(keep=False) == Exit.BUG
    out, err = capfd.readouterr()
    assert "`kitsune run release-1.yaml --yes` ended with exit code 8, not 0" in out
    (folder,) = tmp_path.glob("kitsune-demo-*")
    assert f"logs are kept in {folder}/logs" in err
    assert (folder / "logs" / "server-5.log").exists()


def test_the_plans_of_the_demo_are_plain_plans():
    for plan in PLANS.glob("*.yaml"):
        checked = subprocess.run(
            [sys.executable, "-m", "kitsune", "validate", str(plan)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stderr
    assert len(list(PLANS.glob("*.yaml"))) == 2
