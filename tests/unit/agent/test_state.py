"""One state folder, one local worker."""

import os
import subprocess
import sys

import pytest

from kitsune.agent.state import hold_state_folder, state_folder
from kitsune.errors import StateFolderTaken, StateFolderUnusable


def test_the_environment_names_the_folder(tmp_path):
    assert state_folder("a", {"KITSUNE_STATE_DIR": str(tmp_path)}) == tmp_path


def test_root_keeps_state_below_var_lib_and_others_in_their_home(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert str(state_folder("web-1", {})) == "/var/lib/kitsune/web-1"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert state_folder("web-1", {"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "kitsune/web-1"


def test_a_second_worker_on_one_folder_is_refused_and_the_first_is_named(tmp_path):
    with (
        hold_state_folder(tmp_path / "state") as folder,
        pytest.raises(StateFolderTaken, match=f"process {os.getpid()}"),
        hold_state_folder(folder),
    ):
        pass


def test_the_lock_ends_with_its_process_however_it_ends(tmp_path):
    code = (
        "import os, signal; from pathlib import Path; from kitsune.agent.state import *\n"
        f"with hold_state_folder(Path({str(tmp_path)!r}) / 'state'): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with hold_state_folder(tmp_path / "state") as folder:
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_of_somebody_else_is_left_as_it_is(tmp_path):
    (tmp_path / "report.txt").touch()
    tmp_path.chmod(0o755)
    with (
        pytest.raises(StateFolderUnusable, match="holds something else"),
        hold_state_folder(tmp_path),
    ):
        pass
    assert tmp_path.stat().st_mode & 0o777 == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_a_folder_that_belongs_to_somebody_else_is_not_trusted(tmp_path):
    folder = tmp_path / "state"
    with hold_state_folder(folder):
        pass
    os.chown(folder, 12_345, 12_345)
    with (
        pytest.raises(StateFolderUnusable, match="belongs to uid 12345, this process is uid 0"),
        hold_state_folder(folder),
    ):
        pass


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_a_lock_that_leads_elsewhere_is_not_written_through(tmp_path, kind):
    folder, precious = tmp_path / "state", tmp_path / "precious"
    folder.mkdir()
    precious.write_text("precious")
    if kind == "link":
        (folder / "lock").symlink_to(precious)
    else:
        os.mkfifo(folder / "lock")
    with pytest.raises(StateFolderUnusable), hold_state_folder(folder):
        pass
    assert precious.read_text() == "precious"


def test_a_folder_that_cannot_be_made_is_one_clear_sentence():
    with (
        pytest.raises(StateFolderUnusable, match="cannot keep state in '/proc/nope'"),
        hold_state_folder(state_folder("a", {"KITSUNE_STATE_DIR": "/proc/nope"})),
    ):
        pass
