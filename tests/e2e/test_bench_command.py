"""`make bench` as a person starts and ends it."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.server]
REPOSITORY = Path(__file__).parents[2]


def tell_make(make, number):
    os.kill(make.pid, number)


def tell_everybody(make, number):
    """As a terminal does for Ctrl-C and when it is closed."""
    os.killpg(make.pid, number)


@pytest.mark.parametrize(
    ("tell", "number"),
    [
        (tell_make, signal.SIGTERM),
        (tell_everybody, signal.SIGINT),
        (tell_everybody, signal.SIGHUP),
    ],
)
def test_a_signal_ends_the_benchmark_and_leaves_nothing(tell, number, tmp_path):
    with subprocess.Popen(
        ["make", "bench", "BENCH_ARGS=--parts latency --samples 1000"],
        cwd=REPOSITORY,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as make:
        try:
            assert any("1000 orders" in line for line in make.stderr)
            assert list(tmp_path.iterdir()) != []
            tell(make, number)
            _, said = make.communicate(timeout=60)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(make.pid, signal.SIGKILL)
    assert "everything that was started has ended" in said
    assert make.returncode != 0
    assert list(tmp_path.iterdir()) == []
