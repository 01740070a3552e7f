"""dev/test-orchestration.sh --embedded, as a person runs it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "dev" / "test-orchestration.sh"

pytestmark = pytest.mark.e2e


@pytest.fixture
def environment(tmp_path):
    """No Temporal settings of whoever runs the tests; temporary files where they can be counted."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TEMPORAL_", "KITSUNE_", "SERVER_ID"))
    }
    return kept | {
        "BIN": str(Path(sys.executable).parent),
        "TMPDIR": str(tmp_path),
        "NO_COLOR": "1",
    }


def of_this_test(tmp_path):
    """Return the processes that have the test's temporary folder in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environ = (entry / "environ").read_bytes().split(b"\0")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if f"TMPDIR={tmp_path}".encode() in environ and state != "Z":
            found.append(int(entry.name))
    return found


def assert_all_end(tmp_path):
    """Give processes that die with their parent the moment that the kernel takes to tell them."""
    deadline = time.monotonic() + 60
    while left := of_this_test(tmp_path):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_the_test_plan_runs_without_docker_and_leaves_nothing(tmp_path, environment):
    done = subprocess.run(
        [SCRIPT, "--embedded"],
        env=environment, capture_output=True, text=True, check=False, timeout=110, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"test-orchestration-\S+ \(test-orchestration\): succeeded", done.stdout)
    assert re.search(r"^ +3 . ?succeeded", done.stdout, re.MULTILINE)
    for server in ("server-1", "server-2", "server-3"):
        assert f"{server} succeeded" in done.stderr
    assert re.search(
        r"look at it: http://127\.0\.0\.1:\d+/namespaces/default/workflows/test-orchestration-",
        done.stdout,
    )
    assert list(tmp_path.iterdir()) == []
    assert_all_end(tmp_path)


def test_ended_half_way_it_leaves_nothing_either(tmp_path, environment):
    with subprocess.Popen(
        [SCRIPT, "--embedded", "--keep"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as script:
        for line in script.stdout:
            if "starting Temporal" in line:
                break
        script.send_signal(signal.SIGTERM)
        script.communicate(timeout=60)
    assert script.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    assert_all_end(tmp_path)


def test_a_wrong_option_is_named(environment):
    done = subprocess.run(
        [SCRIPT, "--embeded"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no such option: --embeded" in done.stderr


def test_the_plan_of_the_script_is_valid():
    from kitsune.models.plan import Plan

    plan = Plan.model_validate(
        json.loads((REPOSITORY / "dev" / "test-plan-orchestrator.json").read_text())
    )
    assert plan.servers == ["server-1", "server-2", "server-3"]
