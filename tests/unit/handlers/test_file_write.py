import asyncio
import hashlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from kitsune.errors import StepFailed
from kitsune.handlers.file_write import FileWriteHandler
from kitsune.testing import HandlerBench

NOBODY = 65534


@pytest.fixture
def bench(tmp_path):
    return HandlerBench(FileWriteHandler(), state=tmp_path / "state")


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.fixture
def mount(place):
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    mounted = []

    def do(*options, at=place):
        done = subprocess.run(["mount", *options, at], capture_output=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"cannot mount here: {done.stderr.decode().strip()}")
        if not any("remount" in option for option in options):
            mounted.append(at)

    yield do
    for at in reversed(mounted):
        subprocess.run(["umount", at], check=True)


@pytest.fixture
def unprivileged():
    """A folder of root's, and what runs as somebody else in it."""
    folder = Path(tempfile.mkdtemp(prefix="kitsune-test-"))
    folder.chmod(0o755)
    was = os.geteuid()

    def become(uid=NOBODY):
        if was == 0:
            os.seteuid(uid)

    yield folder, become
    os.seteuid(was)
    shutil.rmtree(folder)


def seen(path):
    """Return everything about a file that a rollback has to bring back."""
    found = path.lstat()
    traits = (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_mtime_ns)
    return path.read_bytes(), *traits


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def require_root():
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")


# What it writes.


async def test_a_new_file_has_content_and_mode_whatever_the_umask_says(bench, place):
    before = os.umask(0o077)
    try:
        outputs = await bench.execute({"path": str(place / "new"), "content": "grüße\n"})
    finally:
        os.umask(before)
    assert (place / "new").read_bytes() == "grüße\n".encode()
    assert stat.S_IMODE((place / "new").stat().st_mode) == 0o644
    assert outputs == {
        "path": str(place / "new"),
        "changed": True,
        "created": True,
        "bytes": 8,
        "sha256": hashlib.sha256("grüße\n".encode()).hexdigest(),
        "undo": bench.undo.sha256,
    }


async def test_bytes_that_are_no_text_come_as_base64(bench, place):
    await bench.execute({"path": str(place / "new"), "contentBase64": "AP/+"})
    assert (place / "new").read_bytes() == b"\x00\xff\xfe"


async def test_an_existing_file_keeps_mode_owner_and_attributes(bench, place):
    require_root()
    file = place / "file"
    file.write_text("old")
    os.chown(file, 1234, 2345)
    file.chmod(0o4750)
    os.setxattr(file, "user.note", b"kept")

    outputs = await bench.execute({"path": str(file), "content": "new"})

    assert seen(file)[:4] == (b"new", 0o4750, 1234, 2345)
    assert os.getxattr(file, "user.note") == b"kept"
    assert outputs["created"] is False


async def test_mode_owner_and_group_are_set_by_name_or_number(bench, place):
    require_root()
    await bench.execute(
        {"path": str(place / "a"), "content": "", "mode": "0600", "owner": "nobody", "group": 4321}
    )
    assert seen(place / "a")[:4] == (b"", 0o600, NOBODY, 4321)


async def test_only_a_mode_can_change(bench, place):
    (place / "file").write_text("same")
    (place / "file").chmod(0o644)
    outputs = await bench.execute({"path": str(place / "file"), "content": "same", "mode": "0600"})
    assert outputs["changed"]
    assert stat.S_IMODE((place / "file").stat().st_mode) == 0o600


async def test_a_file_that_is_as_it_should_be_is_not_touched(bench, place):
    file = place / "file"
    file.write_text("same")
    file.chmod(0o640)
    os.utime(file, ns=(1, 1_000_000_001))
    before, inode, folder = seen(file), file.stat().st_ino, place.stat().st_mtime_ns

    outputs = await bench.execute(
        {"path": str(file), "content": "same", "mode": "0640", "owner": file.stat().st_uid}
    )

    assert outputs["changed"] is False
    assert "undo" not in outputs
    assert bench.undo is None
    await bench.rollback()
    assert (seen(file), file.stat().st_ino) == (before, inode)
    assert place.stat().st_mtime_ns == folder


@pytest.mark.parametrize("size", [1024 * 1024 - 1, 1024 * 1024, 1024 * 1024 + 1])
async def test_content_is_compared_to_its_last_byte(bench, place, size):
    (place / "file").write_bytes(b"x" * size)
    same = await bench.execute({"path": str(place / "file"), "content": "x" * size})
    other = await bench.execute({"path": str(place / "file"), "content": "x" * (size - 1) + "y"})
    assert (same["changed"], other["changed"]) == (False, True)


async def test_readers_see_the_old_file_or_the_new_one_and_never_a_part(bench, place):
    file = place / "file"
    file.write_bytes(b"a" * 200_000)
    sizes, done = set(), threading.Event()

    def read():
        while not done.is_set():
            sizes.add(frozenset(file.read_bytes()))
            sizes.add(file.stat().st_size)

    reader = asyncio.create_task(asyncio.to_thread(read))
    await bench.execute({"path": str(file), "content": "b" * 300_000})
    done.set()
    await reader
    assert sizes <= {frozenset(b"a"), frozenset(b"b"), 200_000, 300_000}


async def test_missing_folders_are_created_when_asked_for(bench, place):
    path = place / "a" / "b" / "file"
    before = os.umask(0o077)
    try:
        await bench.execute({"path": str(path), "content": "x", "createParents": True})
    finally:
        os.umask(before)
    assert path.read_text() == "x"
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, place / "a")} == {0o755}


async def test_other_names_of_the_file_keep_the_old_content_and_a_warning_says_so(bench, place):
    (place / "file").write_text("old")
    os.link(place / "file", place / "other")
    outputs = await bench.execute({"path": str(place / "file"), "content": "new"})
    assert (place / "other").read_text() == "old"
    assert outputs["warnings"] == [
        f"'{place}/file' had 1 other name (hard links): the old content stays there"
    ]


# What it refuses.


async def refusal(bench, path, **params):
    before = everything(Path(path).parent) if Path(path).parent.is_dir() else None
    with pytest.raises(StepFailed) as failure:
        await bench.execute({"path": str(path), "content": "new"} | params)
    if before is not None:
        assert everything(Path(path).parent) == before
    return str(failure.value), failure.value.permanent


async def test_a_symbolic_link_is_refused(bench, place):
    (place / "target").write_text("old")
    (place / "link").symlink_to("target")
    message, permanent = await refusal(bench, place / "link")
    assert message == f"'{place}/link' is a symbolic link (write the path of its target, or set followSymlinks: true)"  # fmt: skip
    assert permanent
    assert (place / "target").read_text() == "old"


async def test_a_link_is_followed_when_asked_for_and_stays_a_link(bench, place):
    (place / "deep").mkdir()
    (place / "deep" / "target").write_text("old")
    (place / "link").symlink_to("deep/target")

    await bench.execute({"path": str(place / "link"), "content": "new", "followSymlinks": True})
    assert (place / "deep" / "target").read_text() == "new"
    assert (place / "link").is_symlink()

    (place / "link").unlink()
    (place / "link").symlink_to(
        "/nowhere"
    )  # a rollback goes where the step was, not where the link leads now
    await bench.rollback()
    assert (place / "deep" / "target").read_text() == "old"


async def test_a_link_to_nothing_can_be_followed(bench, place):
    (place / "link").symlink_to("target")
    await bench.execute({"path": str(place / "link"), "content": "new", "followSymlinks": True})
    assert (place / "target").read_text() == "new"
    await bench.rollback()
    assert everything(place) == ["link"]


async def test_a_rollback_finds_its_file_when_a_link_in_the_path_was_switched(bench, place):
    for release in ("v1", "v2"):
        (place / release).mkdir()
        (place / release / "conf").write_text(release)
    (place / "current").symlink_to("v1")
    await bench.execute({"path": str(place / "current" / "conf"), "content": "new"})
    (place / "current").unlink()
    (place / "current").symlink_to("v2")

    await bench.rollback()

    assert (place / "v1" / "conf").read_text() == "v1"
    assert (place / "v2" / "conf").read_text() == "v2"


async def test_links_in_a_circle_are_named_so(bench, place):
    (place / "a").symlink_to("b")
    (place / "b").symlink_to("a")
    message, permanent = await refusal(bench, place / "a", followSymlinks=True)
    assert message == f"cannot write '{place}/a': its symbolic links lead in a circle"
    assert permanent
    message, _ = await refusal(bench, place / "a" / "file")
    assert "lead in a circle" in message


@pytest.mark.parametrize(
    ("kind", "word"), [("folder", "a folder"), ("pipe", "a named pipe"), ("socket", "a socket")]
)
async def test_what_is_no_regular_file_is_refused_at_once(bench, place, kind, word):
    path = place / kind
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(os.path.relpath(path))  # the absolute path may be too long for a socket
        listening.close()
    message, permanent = await refusal(bench, path)
    assert message == f"'{path}' is {word}, not a regular file"
    assert permanent


async def test_a_device_is_refused_and_not_even_opened(bench, place):
    require_root()
    os.mknod(place / "device", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    message, permanent = await refusal(bench, place / "device")
    assert message == f"'{place}/device' is a character device, not a regular file"
    assert permanent


async def test_a_missing_folder_is_named_with_what_would_work(bench, place):
    message, permanent = await refusal(bench, place / "a" / "file")
    assert message == f"the folder '{place}/a' does not exist (create it first, or set createParents: true)"  # fmt: skip
    assert permanent


@pytest.mark.parametrize("create", [True, False])
async def test_a_file_where_a_folder_should_be_is_named(bench, place, create):
    (place / "a").write_text("")
    message, permanent = await refusal(bench, place / "a" / "b" / "file", createParents=create)
    assert message == f"'{place}/a' is not a folder"
    assert permanent


async def test_a_link_to_nothing_on_the_way_leads_to_a_missing_folder(bench, place):
    (place / "a").symlink_to("nowhere")
    message, _ = await refusal(bench, place / "a" / "b" / "file")
    assert f"the folder '{place}/nowhere/b' does not exist" in message


async def test_folders_that_may_not_be_created_are_named(unprivileged):
    folder, become = unprivileged
    (folder / "state").mkdir()
    (folder / "state").chmod(0o777)
    (folder / "closed").mkdir(mode=0o555)
    become()
    bench = HandlerBench(FileWriteHandler(), state=folder / "state")
    message, permanent = await refusal(bench, folder / "closed" / "a" / "file", createParents=True)
    assert f"cannot create the folder '{folder}/closed/a': no permission" in message
    assert permanent
    await bench.rollback()


async def test_a_created_folder_that_cannot_be_removed_is_named(unprivileged):
    folder, become = unprivileged
    (folder / "state").mkdir()
    (folder / "state").chmod(0o777)
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    become()
    bench = HandlerBench(FileWriteHandler(), state=folder / "state")
    path = folder / "open" / "a" / "file"
    await bench.execute({"path": str(path), "content": "x", "createParents": True})
    become(0)
    (folder / "open").chmod(0o555)
    become()
    with pytest.raises(StepFailed, match=f"cannot remove the folder '{folder}/open/a'"):
        await bench.rollback()


async def test_too_long_a_name_is_named(bench, place):
    message, permanent = await refusal(bench, place / ("ä" * 200))
    assert "the name is too long" in message
    assert "its longest part 400" in message
    assert permanent


async def test_the_longest_name_that_there_can_be_is_written(bench, place):
    await bench.execute({"path": str(place / ("x" * 255)), "content": "x"})
    assert everything(place) == ["x" * 255]


@pytest.mark.parametrize(("key", "word"), [("owner", "user"), ("group", "group")])
async def test_an_unknown_account_is_named_before_anything_is_touched(bench, place, key, word):
    message, permanent = await refusal(bench, place / "file", **{key: "no-such-one"})
    assert message == f"no such {word} on this server: 'no-such-one'"
    assert permanent
    assert bench.undo is None


async def test_no_permission_is_named(unprivileged):
    folder, become = unprivileged
    (folder / "state").mkdir()
    (folder / "state").chmod(0o777)
    (folder / "closed").mkdir(mode=0o555)
    (folder / "closed" / "file").write_text("old")
    become()
    bench = HandlerBench(FileWriteHandler(), state=folder / "state")
    message, permanent = await refusal(bench, folder / "closed" / "file")
    assert f"cannot write '{folder}/closed/file': no permission" in message
    assert f"uid {os.geteuid()}" in message
    assert permanent
    assert (folder / "closed" / "file").read_text() == "old"


async def test_a_file_that_only_root_could_replace_with_its_owner_is_refused(unprivileged):
    require_root()
    folder, become = unprivileged
    folder.chmod(0o777)
    (folder / "file").write_text("old")
    become()
    bench = HandlerBench(FileWriteHandler(), state=folder / "state")
    with pytest.raises(StepFailed, match="only root may give files away") as failure:
        await bench.execute({"path": str(folder / "file"), "content": "new"})
    assert failure.value.permanent
    assert everything(folder)[0] == "file"
    assert not list(folder.glob(".kitsune*"))
    assert (folder / "file").read_text() == "old"


async def test_a_read_only_file_system_is_named(bench, place, mount):
    mount("-t", "tmpfs", "-o", "size=64k", "none")
    (place / "file").write_text("old")
    mount("-o", "remount,ro")
    message, permanent = await refusal(bench, place / "file")
    mount("-o", "remount,rw")
    assert message == f"cannot write '{place}/file': it is on a read-only file system"
    assert permanent
    assert (place / "file").read_text() == "old"


async def test_on_a_full_disk_the_old_file_is_intact_and_nothing_is_left(bench, place, mount):
    mount("-t", "tmpfs", "-o", "size=64k", "none")
    (place / "file").write_text("old")
    before = seen(place / "file")
    message, permanent = await refusal(bench, place / "file", content="x" * 200_000)
    assert "no space left (" in message
    assert "bytes free, 200,000 needed)" in message
    assert not permanent
    await bench.rollback()
    assert seen(place / "file") == before


async def test_folders_created_for_a_file_that_did_not_fit_are_removed(bench, place, mount):
    mount("-t", "tmpfs", "-o", "size=64k", "none")
    message, _ = await refusal(
        bench, place / "a" / "b" / "file", content="x" * 200_000, createParents=True
    )
    assert "no space left" in message
    assert everything(place) == []
    await bench.rollback()
    assert everything(place) == []


async def test_without_room_for_the_undo_record_nothing_is_changed(place, mount, tmp_path):
    mount("-t", "tmpfs", "-o", "size=64k", "none")
    (tmp_path / "file").write_bytes(b"old" * 50_000)
    bench = HandlerBench(FileWriteHandler(), state=place)
    with pytest.raises(StepFailed, match=r"so nothing was changed\) in .*: no space left"):
        await bench.execute({"path": str(tmp_path / "file"), "content": "new"})
    assert (tmp_path / "file").read_bytes() == b"old" * 50_000


async def test_a_file_that_is_a_mount_point_is_named(bench, place, mount):
    (place / "source").write_text("old")
    (place / "file").write_text("")
    mount("--bind", str(place / "source"), at=place / "file")
    message, permanent = await refusal(bench, place / "file")
    assert "in use as a mount point" in message
    assert permanent


async def test_a_rollback_on_a_full_disk_says_so_and_can_be_tried_again(bench, place, mount):
    mount("-t", "tmpfs", "-o", "size=128k", "none")
    (place / "file").write_bytes(b"o" * 60_000)
    before = seen(place / "file")
    await bench.execute({"path": str(place / "file"), "content": "new"})
    (place / "ballast").write_bytes(b"x" * 100_000)

    with pytest.raises(StepFailed, match=r"cannot restore .*no space left .* 60,000 needed"):
        await bench.rollback()
    assert (place / "file").read_text() == "new"
    assert everything(place) == ["ballast", "file"]

    (place / "ballast").unlink()
    await bench.rollback()
    assert seen(place / "file") == before


# What a rollback brings back.


async def test_a_changed_file_comes_back_to_the_byte_mode_owner_and_time(bench, place):
    file = place / "file"
    file.write_bytes(bytes(range(256)) * 5_000)
    file.chmod(0o4751)
    if os.geteuid() == 0:
        os.chown(file, 1234, 2345)
        file.chmod(0o4751)
    os.setxattr(file, "user.note", b"mine")
    os.utime(file, ns=(1_111, 987_654_321_123_456_789))
    before = seen(file)

    change = {"path": str(file), "content": "new", "mode": "0600"}
    await bench.execute(change | ({"owner": 0, "group": 0} if os.geteuid() == 0 else {}))
    assert seen(file) != before
    await bench.rollback()

    assert seen(file) == before
    assert os.getxattr(file, "user.note") == b"mine"
    inode = file.stat().st_ino
    await bench.rollback()
    assert (seen(file), file.stat().st_ino) == (before, inode)
    assert everything(place) == ["file"]


async def test_a_new_file_is_gone_again(bench, place):
    await bench.execute({"path": str(place / "new"), "content": "x"})
    await bench.rollback()
    await bench.rollback()
    assert everything(place) == []


async def test_created_folders_are_gone_again(bench, place):
    await bench.execute({"path": str(place / "a" / "b" / "f"), "content": "", "createParents": True})  # fmt: skip
    await bench.rollback()
    await bench.rollback()
    assert everything(place) == []


async def test_created_folders_that_others_use_by_now_stay(bench, place):
    await bench.execute({"path": str(place / "a" / "b" / "f"), "content": "", "createParents": True})  # fmt: skip
    (place / "a" / "other").write_text("")
    await bench.rollback()
    assert everything(place) == ["a", "a/other"]


async def test_a_file_that_vanished_meanwhile_is_written_again(bench, place):
    (place / "file").write_text("old")
    before = seen(place / "file")
    await bench.execute({"path": str(place / "file"), "content": "new"})
    (place / "file").unlink()
    await bench.rollback()
    assert seen(place / "file") == before


async def test_a_change_by_somebody_else_is_lost_and_the_log_says_so(bench, place):
    (place / "file").write_text("old")
    await bench.execute({"path": str(place / "file"), "content": "new"})
    (place / "file").write_text("edited by hand")
    await bench.rollback()
    assert (place / "file").read_text() == "old"
    assert bench.log_lines == [
        f"'{place}/file' was changed by somebody else since this step wrote it: that is lost"
    ]


@pytest.mark.parametrize("existed", [True, False])
async def test_a_rollback_does_not_go_through_a_link_that_was_put_there(bench, place, existed):
    if existed:
        (place / "file").write_text("old")
    (place / "victim").write_text("victim")
    await bench.execute({"path": str(place / "file"), "content": "new"})
    (place / "file").unlink()
    (place / "file").symlink_to("victim")
    with pytest.raises(StepFailed, match="is a symbolic link, not a regular file"):
        await bench.rollback()
    assert (place / "victim").read_text() == "victim"


async def test_a_folder_that_vanished_cannot_be_restored_into(bench, place):
    (place / "sub").mkdir()
    (place / "sub" / "file").write_text("old")
    await bench.execute({"path": str(place / "sub" / "file"), "content": "new"})
    shutil.rmtree(place / "sub")
    with pytest.raises(StepFailed, match=f"cannot restore a file in '{place}/sub'"):
        await bench.rollback()


async def test_where_nothing_was_the_folder_may_be_gone_too(bench, place):
    (place / "sub").mkdir()
    await bench.execute({"path": str(place / "sub" / "file"), "content": "new"})
    shutil.rmtree(place / "sub")
    await bench.rollback()
    assert everything(place) == []


async def test_a_damaged_undo_record_restores_nothing(bench, place):
    (place / "file").write_text("old")
    await bench.execute({"path": str(place / "file"), "content": "new"})
    bench.undo.blob.write_text("oops")
    with pytest.raises(StepFailed, match="is damaged"):
        await bench.rollback()
    assert (place / "file").read_text() == "new"


# Executed again, killed, cancelled.


async def test_an_execution_after_a_finished_one_still_knows_what_was_changed(bench, place):
    (place / "file").write_text("old")
    params = {"path": str(place / "file"), "content": "new"}
    first = await bench.execute(params)
    inode = (place / "file").stat().st_ino
    assert await bench.execute(params) == first
    assert (place / "file").stat().st_ino == inode
    await bench.rollback()
    assert (place / "file").read_text() == "old"


async def test_an_execution_after_the_link_was_switched_is_refused(bench, place):
    for name in ("one", "two"):
        (place / name).write_text("old")
    (place / "link").symlink_to("one")
    params = {"path": str(place / "link"), "content": "new", "followSymlinks": True}
    await bench.execute(params)
    (place / "link").unlink()
    (place / "link").symlink_to("two")
    with pytest.raises(StepFailed, match="when this step began and leads to"):
        await bench.execute(params)
    assert (place / "two").read_text() == "old"


KILLED = """
import asyncio, sys
from pathlib import Path
from kitsune.handlers.file_write import FileWriteHandler
from kitsune.testing import HandlerBench

state, path = sys.argv[1:]
asyncio.run(HandlerBench(FileWriteHandler(), state=Path(state)).execute({"path": path, "content": "new"}))
"""


def write_and_die(state, file, place):
    """Execute the step in a process of its own that kills itself at a fail point."""
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, state, file],
        env={**os.environ, "KITSUNE_FAILPOINTS": f"{place}=kill"},
        capture_output=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()


@pytest.mark.parametrize(
    ("point", "content"),
    [
        pytest.param("undo.before_record", "old", id="while it keeps the old file"),
        pytest.param("undo.after_record", "old", id="between undo record and writing"),
        pytest.param("file.after_temp", "old", id="between writing and rename"),
        pytest.param("file.after_rename", "new", id="after the rename"),
    ],
)
async def test_a_killed_agent_leaves_a_whole_file_and_its_step_can_run_again(
    tmp_path, place, point, content
):
    file = place / "file"
    file.write_text("old")
    file.chmod(0o640)
    before = seen(file)
    write_and_die(tmp_path / "state", file, point)
    assert file.read_text() == content

    bench = HandlerBench(FileWriteHandler(), state=tmp_path / "state")
    outputs = await bench.execute({"path": str(file), "content": "new"})

    assert (outputs["changed"], outputs["created"]) == (True, False)
    assert file.read_text() == "new"
    assert everything(place) == ["file"]
    await bench.rollback()
    assert seen(file) == before


async def test_a_rollback_cleans_up_after_a_killed_agent(tmp_path, place):
    file = place / "file"
    file.write_text("old")
    before = seen(file)
    write_and_die(tmp_path / "state", file, "file.after_temp")
    assert len(everything(place)) == 2

    handler, params = FileWriteHandler(), {"path": str(file), "content": "new"}
    bench = HandlerBench(handler, state=tmp_path / "state")
    bench._params = handler.params_model.model_validate(params)
    await bench.rollback()

    assert everything(place) == ["file"]
    assert seen(file) == before


@pytest.mark.parametrize("number", [1, 2], ids=["while it keeps", "while it writes"])
async def test_a_cancelled_step_leaves_the_old_file_and_no_other(bench, place, monkeypatch, number):
    """Hold the step just before its nth fsync of a file, cancel it, and let it go on."""
    (place / "file").write_text("old")
    reached, go_on, synced = threading.Event(), threading.Event(), []
    sync = os.fsync

    def hold(descriptor):
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            synced.append(descriptor)
            if len(synced) == (1 if number == 1 else 3):  # kept bytes, their manifest, the new file
                reached.set()
                go_on.wait()
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", hold)
    running = asyncio.create_task(bench.execute({"path": str(place / "file"), "content": "new"}))
    await asyncio.to_thread(reached.wait)
    running.cancel()
    while not running.cancelling():
        await asyncio.sleep(0)
    # The cancellation has to reach the handler's thread before that goes on.
    for _ in range(10):
        await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert everything(place) == ["file"]
    assert (place / "file").read_text() == "old"
    assert (bench.undo is None) == (number == 1)


async def test_a_large_old_file_is_never_held_in_memory(bench, place):
    import tracemalloc

    with (place / "file").open("wb") as file:
        for _ in range(64):
            file.write(os.urandom(1024 * 1024))
    tracemalloc.start()
    try:
        await bench.execute({"path": str(place / "file"), "content": "new"})
        await bench.rollback()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024
