"""A rollback that an operator asks for later leaves alone what people have changed meanwhile."""

import os
from pathlib import Path

import pytest

from kitsune.errors import StepFailed
from kitsune.handlers.file_write import FileWriteHandler
from kitsune.testing import HandlerBench


def seen(file):
    """What must not change, which leaves out when it was last read."""
    if not file.exists():
        return None
    found = file.stat()
    return found.st_ino, found.st_mode, found.st_uid, found.st_mtime_ns, found.st_size


@pytest.fixture
def bench(tmp_path):
    return HandlerBench(FileWriteHandler(), state=tmp_path / "state")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "file"


def edit(file):
    file.write_text("edited")


def move_away(file):
    file.rename(file.with_name("moved"))


def chmod(file):
    file.chmod(0o600)


def chown(file):
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    os.chown(file, 1234, -1)


CHANGES = [
    pytest.param(edit, "other content", id="content"),
    pytest.param(chmod, "mode 0600 instead of 0644", id="mode"),
    pytest.param(chown, "owner 1234 instead of 0", id="owner"),
]


@pytest.mark.parametrize("existed", [True, False])
@pytest.mark.parametrize(
    ("change", "told"), [*CHANGES, pytest.param(move_away, "it was removed", id="absence")]
)
async def test_a_file_that_somebody_changed_is_a_conflict_and_both_are_kept(
    bench, file, change, told, existed
):
    if change is move_away and not existed:
        pytest.skip("absent again is as it was before the step")
    if existed:
        file.write_text("old")
        file.chmod(0o644)
    await bench.execute({"path": str(file), "content": "new"})
    change(file)
    now = seen(file)

    with pytest.raises(StepFailed) as conflict:
        await bench.rollback(refuse_conflicts=True)

    message = str(conflict.value)
    assert conflict.value.permanent
    assert message.startswith(f"conflict: '{file}' was changed by somebody else")
    assert told in message
    assert "--force" in message
    assert seen(file) == now
    if existed:
        kept = Path(message.split("kept in '")[1].split("'", maxsplit=1)[0])
        assert kept.read_text() == "old"
    else:
        assert "before the step there was no such file" in message


@pytest.mark.parametrize("change", [edit, chmod, move_away])
async def test_a_rollback_that_is_forced_overwrites_it_as_one_within_a_rollout_does(
    bench, file, change
):
    file.write_text("old")
    await bench.execute({"path": str(file), "content": "new"})
    change(file)
    with pytest.raises(StepFailed):
        await bench.rollback(refuse_conflicts=True)
    await bench.rollback()
    assert file.read_text() == "old"


@pytest.mark.parametrize("existed", [True, False])
async def test_a_file_that_is_as_the_step_left_it_comes_back_and_twice_is_once(
    bench, file, existed
):
    if existed:
        file.write_text("old")
        file.chmod(0o604)
    params = {"path": str(file), "content": "new", "mode": "0640"}
    await bench.execute(params)
    os.utime(file, (1, 1))  # a time is no change
    await bench.rollback(refuse_conflicts=True)
    await bench.rollback(refuse_conflicts=True)
    assert file.exists() == existed
    assert not existed or (file.read_text(), file.stat().st_mode & 0o777) == ("old", 0o604)


async def test_a_step_that_was_killed_before_it_wrote_leaves_no_conflict(bench, file, monkeypatch):
    file.write_text("old")

    def broken(*_args, **_options):
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("kitsune.handlers.file_write.replace_file", broken)
        with pytest.raises(RuntimeError):
            await bench.execute({"path": str(file), "content": "new"})
    await bench.rollback(refuse_conflicts=True)
    assert file.read_text() == "old"


async def test_an_undo_record_of_an_older_worker_still_shows_other_content(
    bench, file, monkeypatch
):
    file.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr("kitsune.handlers.file_write._Writing._written", lambda *_: None)
        await bench.execute({"path": str(file), "content": "new"})
    edit(file)
    with pytest.raises(StepFailed, match="other content"):
        await bench.rollback(refuse_conflicts=True)
