"""What is loaded for good is no work for the garbage collector, in both commands."""

import subprocess
import sys

import pytest

#: Runs a command of a worker up to where it would connect, and tells how many objects the collector leaves alone.
_PROGRAM = """
import asyncio, gc

def connect(work):
    work.close()
    print(gc.get_freeze_count(), gc.get_threshold()[0], flush=True)

asyncio.run = connect
from kitsune.cli.main import main
main()
"""


@pytest.mark.parametrize(
    "command", [["orchestration-worker"], ["local-worker", "--server-id", "web-1"]]
)
def test_what_is_loaded_for_good_is_left_alone(command, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *command],
        capture_output=True,
        text=True,
        timeout=60,
        env={"KITSUNE_STATE_DIR": str(tmp_path)},
        check=False,
    )
    frozen, threshold = map(int, done.stdout.split())
    assert frozen > 10_000
    assert threshold > 700
