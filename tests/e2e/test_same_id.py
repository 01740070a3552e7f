"""A second local worker with the same id, on the same host, with a state folder of its own."""

import subprocess

import pytest

from support.small_fleet import KITSUNE, PATIENCE, SmallFleet

pytestmark = [pytest.mark.e2e, pytest.mark.server]


def test_a_second_local_worker_of_a_server_is_refused(temporal_server, tmp_path):
    fleet = SmallFleet(temporal_server.address, tmp_path, "twin")
    try:
        second = subprocess.run(
            [*KITSUNE, "local-worker", "--server-id", fleet.servers[0]],
            env=fleet.environment | {"KITSUNE_STATE_DIR": str(tmp_path / "another")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert second.returncode == 9, second.stderr
        assert "another local worker on this host serves" in second.stderr
    finally:
        fleet.close()
