"""The examples run: as they are, on real workers, with a plugin that only the servers have."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.small_fleet import SmallFleet

pytestmark = [pytest.mark.e2e, pytest.mark.server]

EXAMPLES = Path(__file__).parents[2] / "examples"
PIP = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
OFFLINE = ["--no-build-isolation", "--disable-pip-version-check", "--root-user-action=ignore"]


@pytest.fixture(scope="module")
def fleet(temporal_server, tmp_path_factory):
    plugin = tmp_path_factory.mktemp("plugin")
    example = EXAMPLES / "02-custom-handler"
    subprocess.run([*PIP, *OFFLINE, "--target", plugin, example], check=True)
    folder = tmp_path_factory.mktemp("fleet")
    fleet = SmallFleet(temporal_server.address, folder, "a", on_servers={"PYTHONPATH": str(plugin)})
    yield fleet
    fleet.close()


def copy_of(name, folder, **changes):
    """Return the path of an example's plan that writes below `folder` instead of /tmp."""
    text = (EXAMPLES / name / "plan.yaml").read_text().replace("/tmp/", f"{folder}/")
    for old, new in changes.items():
        text = text.replace(old, new)
    path = folder / "plan.yaml"
    path.write_text(text)
    return str(path)


def run(fleet, path):
    done = fleet.kitsune("run", path, "--servers", ",".join(fleet.servers), "-o", "json")
    return done, json.loads(done.stdout)


@pytest.mark.parametrize("name", ["01-first-rollout", "02-custom-handler"])
def test_an_example_runs(fleet, tmp_path, name):
    done, result = run(fleet, copy_of(name, tmp_path))
    assert done.returncode == 0, done.stderr
    assert result["success"]


def test_a_handler_that_only_servers_have_runs_and_is_undone(fleet, tmp_path):
    path = copy_of("02-custom-handler", tmp_path, **{"args: [release 2,": "args: [release 3,"})
    done, result = run(fleet, path)
    assert done.returncode == 5, done.stderr
    assert "symlink" in done.stderr  # the orchestrator does not know it, and says so
    assert [step["undone"] for step in result["results"][0]["stepsExecuted"]] == ["rolledBack"] * 3
    assert not (tmp_path / "kitsune-example").exists()
