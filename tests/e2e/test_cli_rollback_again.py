"""A rollback that failed, or that was refused, is tried again when somebody asks for it."""

import os

import pytest

from support.small_fleet import SmallFleet, lines_of, script

pytestmark = [pytest.mark.e2e, pytest.mark.server]


@pytest.fixture(scope="module")
def fleet(temporal_server, tmp_path_factory):
    fleet = SmallFleet(temporal_server.address, tmp_path_factory.mktemp("fleet"), "a")
    yield fleet
    fleet.close()


def ran(fleet, name, step):
    """Run a plan of one step to its good end and return the rollout's id."""
    rollout_id = f"{name}-a{os.getpid()}"
    done = fleet.kitsune("run", fleet.plan(steps=[step]), "--id", rollout_id)
    assert done.returncode == 0, done.stderr
    return rollout_id


def test_a_rollback_that_failed_is_tried_again_on_demand(fleet, tmp_path):
    log, mended = tmp_path / "log", tmp_path / "mended"
    rollback = f"[ -e {mended} ] || exit 2; echo undone >> {log}"
    rollout_id = ran(fleet, "stuck", script("true", rollback=rollback))
    failed = fleet.kitsune("rollback", rollout_id)
    assert failed.returncode == 6, failed.stdout + failed.stderr
    assert f"$ kitsune rollback {rollout_id}-rollback-1 --retry" in failed.stdout
    left = fleet.kitsune("rollback", rollout_id)
    assert left.returncode == 6  # nothing was tried, and something is left
    assert "has a rollback that is failed (--retry tries it again)" in left.stderr
    mended.touch()
    done = fleet.kitsune("rollback", f"{rollout_id}-rollback-1", "--retry")
    assert done.returncode == 0, done.stdout + done.stderr
    assert lines_of(log) == ["undone"]


def test_what_somebody_changed_since_is_only_overwritten_by_force(fleet, tmp_path):
    target = tmp_path / "release"
    target.write_text("old")
    params = {"path": str(target), "content": "new"}
    rollout_id = ran(fleet, "changed", {"name": "write", "type": "file_write", "params": params})
    target.write_text("by hand")
    refused = fleet.kitsune("rollback", rollout_id)
    assert refused.returncode == 6, refused.stdout + refused.stderr
    assert target.read_text() == "by hand"
    forced = fleet.kitsune("rollback", rollout_id, "--retry", "--force")
    assert forced.returncode == 0, forced.stdout + forced.stderr
    assert target.read_text() == "old"
