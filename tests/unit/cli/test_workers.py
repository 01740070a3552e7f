"""What the commands of the workers refuse before they reach for Temporal, and how they leave."""

import signal
import subprocess
import sys
import time

import pytest

from kitsune.cli.exits import Exit
from kitsune.cli.main import run_command


def test_a_broken_file_of_webhooks_is_one_error(tmp_path, capsys):
    path = tmp_path / "webhooks.yaml"
    path.write_text("webhooks:\n  - name: ops\n    url: nowhere\n")
    assert run_command(["orchestration-worker", "--webhooks", str(path)]) is Exit.USAGE
    assert capsys.readouterr().err == (
        f"kitsune: the webhooks of {path} cannot be used:\n"
        f"{path}:3:10: webhooks[0].url: must be a web address, with its scheme and host\n"
        "  next: `kitsune --help` lists the commands, and the --help of each its settings\n"
    )


@pytest.mark.parametrize(
    "command", [["orchestration-worker"], ["local-worker", "--server-id", "a"]]
)
def test_a_bad_address_for_figures_is_one_error(command, capsys, monkeypatch):
    monkeypatch.setenv("KITSUNE_METRICS_ADDRESS", "web-1:9464")
    assert run_command(command) is Exit.USAGE
    assert capsys.readouterr().err.startswith(
        "kitsune: not an address to serve metrics on: 'web-1:9464' (write IP:PORT"
    )


#: A worker that does not end when it is told to.
STUCK = """
import asyncio, sys
from kitsune.cli import workers
from kitsune.service import connection

async def connect(*_, **__):
    return "client"

async def work(client, stop):
    print("at work", flush=True)
    await asyncio.Event().wait()

connection.connect_patiently = connect
workers._STOPPED_WITHIN = float(sys.argv[1])
asyncio.run(workers._until_stopped(None, work, identity="web-1", runtime=None, tracing=None))
"""


@pytest.mark.parametrize(
    ("patience", "signals", "why"),
    [
        ("60", (signal.SIGTERM, signal.SIGINT), "told a second time to stop"),
        ("0.2", (signal.SIGTERM,), "not stopped after 0 s"),
    ],
)
def test_a_worker_that_does_not_end_leaves_what_it_runs_to_the_next(patience, signals, why):
    command = [sys.executable, "-c", STUCK, patience]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as stuck:
        assert stuck.stdout.readline() == b"at work\n"
        for number in signals:
            stuck.send_signal(number)
            time.sleep(0.1)
        said = stuck.communicate(timeout=30)[1].decode()
    assert stuck.returncode == 130
    assert f"{why}: leaving as it is; the next worker takes over what runs" in said
