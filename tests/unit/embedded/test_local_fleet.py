import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from kitsune.embedded import local_workers
from kitsune.embedded.local_fleet import LocalFleet
from kitsune.errors import EmbeddedServerError

pytestmark = pytest.mark.server
STAND_IN = Path(__file__).parent / "stand_in_worker.py"


@pytest.fixture
def diary(tmp_path, monkeypatch):
    path = tmp_path / "diary"
    path.touch()
    monkeypatch.setenv("STAND_IN_DIARY", str(path))
    return path


@pytest.fixture
def make_fleet(tmp_path, diary):
    def make(**options):
        return LocalFleet(
            state=tmp_path / "state",
            servers=["server-1", "server-2"],
            in_memory=True,
            kitsune=(sys.executable, str(STAND_IN)),
            **options,
        )

    return make


def is_gone(pid):
    return not Path(f"/proc/{pid}").exists()


async def test_a_fleet_is_ready_when_every_worker_polls_and_ends_its_workers_in_order(
    make_fleet, diary
):
    async with make_fleet() as fleet:
        started = {line.split()[1] for line in diary.read_text().splitlines()}
        assert started == {"execution-orchestrator", "server-1", "server-2"}
        pids = [fleet.temporal.pid, *(worker.pid for worker in fleet.workers)]
    ended = [line.split()[1] for line in diary.read_text().splitlines() if line.startswith("ended")]
    assert sorted(ended[:2]) == ["server-1", "server-2"]
    assert ended[2:] == ["execution-orchestrator"]
    assert all(is_gone(pid) for pid in pids)


async def test_each_local_worker_has_a_state_folder_a_working_folder_and_a_log(make_fleet):
    async with make_fleet() as fleet:
        for worker in fleet.workers[1:]:
            environment = Path(f"/proc/{worker.pid}/environ").read_bytes().split(b"\0")
            assert f"KITSUNE_STATE_DIR={fleet.state}/servers/{worker.name}".encode() in environment
            assert Path(f"/proc/{worker.pid}/cwd").readlink() == fleet.files_of(worker.name)
            assert (fleet.logs / f"{worker.name}.log").exists()


async def test_a_worker_that_dies_is_started_again_and_that_is_said(
    make_fleet, eventually, monkeypatch
):
    monkeypatch.setattr(local_workers, "_FIRST_PAUSE", 0.01)
    news = []
    async with make_fleet(say=news.append) as fleet:
        victim = fleet.workers[1]
        victim._pause, first = 0.01, victim.pid
        supervision = asyncio.ensure_future(fleet.supervise())
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: victim.pid != first and victim.exit_code is None)
        supervision.cancel()
    assert news[0].startswith("server-1 ended with signal 9 (log: ")


async def test_pauses_double_while_a_worker_keeps_dying(
    make_fleet, monkeypatch, tmp_path, eventually
):
    monkeypatch.setenv("STAND_IN_TROUBLE", "dying")
    news, now = [], 0.0
    worker = make_fleet()._worker("server-1")
    for folder in (worker.folder, worker.log.parent):
        folder.mkdir(parents=True, exist_ok=True)
    worker.start(now=now)
    for pause in (1, 2, 4, 8, 16, 30, 30):
        await eventually(lambda: worker.exit_code is not None)
        worker.look_after(now=now, say=news.append)
        assert f"again in {pause}s" in news[-1]
        worker.look_after(now=now + pause - 0.1, say=news.append)
        assert worker.exit_code is not None
        now += pause
        worker.look_after(now=now, say=news.append)
    await worker.stop()
    assert len(news) == 7
    assert "out of luck" in news[0]


async def test_a_server_that_dies_ends_the_fleet_in_words(make_fleet):
    async with make_fleet() as fleet:
        os.kill(fleet.temporal.pid, signal.SIGKILL)
        with pytest.raises(EmbeddedServerError, match="Temporal ended with signal 9"):
            await fleet.supervise()
    assert all(is_gone(worker.pid) for worker in fleet.workers)


@pytest.mark.parametrize(
    ("trouble", "words", "ready_within"),
    [
        ("dying", r"ended with exit code 1 .*\n  out of luck", 60),
        ("silent", r"does not poll \(log: ", 1),
    ],
)
async def test_a_worker_that_does_not_get_ready_fails_the_start_and_leaves_nothing(
    make_fleet, monkeypatch, trouble, words, ready_within
):
    monkeypatch.setenv("STAND_IN_TROUBLE", trouble)
    fleet = make_fleet(ready_within=timedelta(seconds=ready_within))
    with pytest.raises(EmbeddedServerError, match=words):
        await fleet.__aenter__()
    assert all(
        is_gone(pid) for pid in [fleet.temporal.pid, *(worker.pid for worker in fleet.workers)]
    )


async def test_a_start_that_is_interrupted_leaves_nothing(make_fleet, eventually, monkeypatch):
    monkeypatch.setenv("STAND_IN_TROUBLE", "silent")
    fleet = make_fleet()
    start = asyncio.ensure_future(fleet.__aenter__())
    await eventually(lambda: len(fleet.workers) == 3)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert all(
        is_gone(pid) for pid in [fleet.temporal.pid, *(worker.pid for worker in fleet.workers)]
    )


async def test_kill_ends_workers_that_ignore_everything_else(make_fleet, monkeypatch):
    monkeypatch.setenv("STAND_IN_TROUBLE", "stubborn")
    async with make_fleet() as fleet:
        fleet.kill()
    assert [worker.exit_code for worker in fleet.workers] == [-signal.SIGKILL] * 3
