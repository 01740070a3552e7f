"""What a `file_write` step would change is said to the byte, and nothing is touched."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from kitsune.errors import StepFailed
from kitsune.handlers.file_write import FileWriteHandler
from kitsune.models.checks import CheckStatus
from kitsune.testing import HandlerBench


@pytest.fixture
def bench(tmp_path):
    return HandlerBench(FileWriteHandler(), state=tmp_path / "state")


@pytest.fixture
def public():
    """A folder that everybody may enter; pytest's own is for nobody else."""
    with TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def file(public):
    """Make a file with this content, as an administrator would."""

    def make(content, mode=0o644):
        path = public / "folder" / "conf"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
        return path

    return make


def picture_of(folder):
    """Return everything below a folder that a write would change."""
    return {
        str(path): (path.lstat().st_mode, path.lstat().st_mtime_ns, path.lstat().st_ino)
        for path in [folder, *folder.rglob("*")]
    }


async def test_the_same_file_is_identical(bench, file):
    path = file(b"a\n")
    found = await bench.check({"path": str(path), "content": "a\n"})
    assert (found.status, found.changes, found.diff) == (CheckStatus.IDENTICAL, [], "")


async def test_other_content_is_a_unified_diff(bench, file):
    path = file(b"".join(b"line %d\n" % number for number in range(1, 21)))
    new = path.read_text().replace("line 10\n", "line ten\n").removesuffix("\n")
    found = await bench.check({"path": str(path), "content": new})
    assert found.status is CheckStatus.DIFFERS
    assert found.diff == (
        f"--- {path}\n"
        f"+++ {path} (plan)\n"
        "@@ -7,7 +7,7 @@\n"
        " line 7\n line 8\n line 9\n-line 10\n+line ten\n line 11\n line 12\n line 13\n"
        "@@ -17,4 +17,4 @@\n"
        " line 17\n line 18\n line 19\n-line 20\n+line 20\n"
        "\\ No newline at end of file"
    )
    assert found.changes[0].startswith("content 151 → 151 bytes, sha256 ")


async def test_mode_and_owner_are_told_without_a_diff(bench, file):
    path = file(b"a", 0o644)
    params = {"path": str(path), "content": "a", "mode": "0600", "owner": "12345"}
    found = await bench.check(params)
    assert found.changes[0] == "mode 0644 → 0600"
    assert found.changes[1].startswith("owner ")
    assert found.changes[1].endswith(" → 12345")
    assert found.diff == ""


async def test_a_new_file_and_its_folders_are_told(bench, tmp_path):
    path = tmp_path / "one" / "two" / "conf"
    found = await bench.check({"path": str(path), "content": "a\n", "createParents": True})
    assert found.changes == [
        f"creates the folder {str(tmp_path / 'one')!r}",
        f"creates the folder {str(tmp_path / 'one' / 'two')!r}",
        f"creates {str(path)!r}, 2 bytes, mode 0644",
    ]
    assert found.diff.endswith("@@ -0,0 +1 @@\n+a")


async def test_nothing_is_touched(bench, file, tmp_path):
    path = file(b"a\n")
    before = picture_of(path.parent)
    for params in (
        {"path": str(path), "content": "b\n", "mode": "0600"},
        {"path": str(path.parent / "new"), "content": "b"},
        {"path": str(path.parent / "no" / "such"), "content": "b", "createParents": True},
    ):
        await bench.check(params)
    assert picture_of(path.parent) == before
    assert not (tmp_path / "state").exists()


async def test_what_would_fail_is_said_to_fail(bench, tmp_path):
    with pytest.raises(StepFailed, match="does not exist"):
        await bench.check({"path": str(tmp_path / "no" / "such"), "content": "a"})
    with pytest.raises(StepFailed, match="is a folder"):
        await bench.check({"path": str(tmp_path), "content": "a"})
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(StepFailed, match="symbolic link"):
        await bench.check({"path": str(tmp_path / "link"), "content": "a"})


@pytest.mark.parametrize(("mode", "wanted"), [(0o600, None), (0o644, "0640"), (0o640, "0644")])
async def test_content_that_not_everybody_may_read_stays_on_the_server(bench, file, mode, wanted):
    path = file(b"old secret", mode)
    params = {"path": str(path), "content": "new secret"} | ({"mode": wanted} if wanted else {})
    found = await bench.check(params)
    assert "secret" not in found.model_dump_json()
    assert "sha256" not in found.model_dump_json(), "short secrets are guessed from it"
    assert "--reveal" in found.note
    shown = await bench.check(params, reveal=True)
    assert "-old secret" in shown.diff


async def test_a_file_in_a_folder_that_not_everybody_may_enter_stays_on_the_server(
    bench, file, public
):
    path = file(b"old secret")
    (public / "way in").symlink_to(path)
    public.chmod(0o750)
    for given in (path, public / "way in"):
        params = {"path": str(given), "content": "new", "followSymlinks": True}
        found = await bench.check(params)
        assert "secret" not in found.model_dump_json()
        assert "sha256" not in found.model_dump_json()
        assert "-old secret" in (await bench.check(params, reveal=True)).diff


async def test_binary_and_large_files_have_no_diff_but_a_sum(bench, file):
    path = file(b"\0\1")
    found = await bench.check({"path": str(path), "content": "text"})
    assert (found.diff, found.note) == ("", "binary: no diff")
    assert "sha256" in found.changes[0]
    path = file(b"x" * 300_000)
    found = await bench.check({"path": str(path), "content": "text"})
    assert (found.diff, found.note) == ("", "too large for a diff")


async def test_a_pipe_is_not_opened(bench, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StepFailed, match="named pipe"):
        await bench.check({"path": str(tmp_path / "pipe"), "content": "a"})
