import asyncio
import json
import os
import subprocess
import threading

import pytest

from kitsune.agent.threads import Stop, WorkStopped
from kitsune.agent.undo import UndoStore
from kitsune.errors import StepFailed

OPERATION = "0123456789abcdef"


@pytest.fixture
def store(tmp_path):
    return UndoStore(tmp_path / "state" / "undo")


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


async def test_what_is_kept_is_there_for_whoever_comes_next(store, tmp_path):
    old = tmp_path / "old"
    old.write_bytes(b"\x00\xff" * 700_000)
    kept = await store.keeper(OPERATION).keep({"mode": 420, "deep": {"a": [1, None]}}, blob=old)

    found = UndoStore(tmp_path / "state" / "undo").load(OPERATION)
    assert found == kept
    assert found.facts == {"mode": 420, "deep": {"a": [1, None]}}
    assert found.blob.read_bytes() == old.read_bytes()


async def test_facts_alone_can_be_kept(store):
    kept = await store.keeper(OPERATION).keep({"was": "absent"})
    assert kept.blob is None
    assert store.load(OPERATION) == kept


async def test_facts_are_the_same_now_and_when_they_are_read_again(store):
    kept = await store.keeper(OPERATION).keep({"ports": (10, 9), "by": {10: "a", 9: "b"}})
    assert kept.facts == {"ports": [10, 9], "by": {"10": "a", "9": "b"}}
    assert store.load(OPERATION) == kept


async def test_only_the_first_record_counts(store, tmp_path):
    file = tmp_path / "file"
    file.write_text("old")
    first = await store.keeper(OPERATION).keep({"call": 1}, blob=file)
    file.write_text("new, written by the step itself")

    second = await store.keeper(OPERATION).keep({"call": 2}, blob=file)

    assert second == first
    assert store.load(OPERATION).blob.read_text() == "old"


async def test_calls_at_the_same_time_keep_one_record(store):
    keeper = store.keeper(OPERATION)
    kept = await asyncio.gather(*(keeper.keep({"call": call}) for call in range(8)))
    assert len({record.sha256 for record in kept}) == 1


async def test_operations_do_not_share_a_record(store):
    await store.keeper("aa").keep({"of": "aa"})
    await store.keeper("bb").keep({"of": "bb"})
    assert store.load("aa").facts == {"of": "aa"}
    assert store.load("bb").facts == {"of": "bb"}


def test_nothing_kept_is_no_record_and_no_folder(store, tmp_path):
    assert store.load(OPERATION) is None
    assert store.reference(OPERATION) is None
    assert store.keeper(OPERATION).record is None
    assert files_in(tmp_path) == []


async def test_a_keeper_knows_what_an_execution_before_it_kept(store):
    assert store.keeper(OPERATION).record is None
    kept = await store.keeper(OPERATION).keep({"a": 1})
    assert store.keeper(OPERATION).record == kept


async def test_the_reference_is_small_and_names_the_record(store, tmp_path):
    (tmp_path / "old").write_bytes(b"x" * 1_000_000)
    kept = await store.keeper(OPERATION).keep({}, blob=tmp_path / "old")
    assert store.reference(OPERATION) == {"id": OPERATION, "sha256": kept.sha256}


async def test_nobody_else_can_read_what_is_kept(store, tmp_path):
    (tmp_path / "secret").write_text("secret")
    before = os.umask(0)
    try:
        await store.keeper(OPERATION).keep({"a": 1}, blob=tmp_path / "secret")
    finally:
        os.umask(before)
    folder = tmp_path / "state" / "undo"
    modes = {str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in folder.rglob("*")}  # fmt: skip
    assert folder.stat().st_mode & 0o777 == 0o700
    assert modes == {
        OPERATION: 0o700,
        f"{OPERATION}/content": 0o600,
        f"{OPERATION}/manifest.json": 0o600,
    }


def _cut_manifest(record):
    (record / "manifest.json").write_bytes((record / "manifest.json").read_bytes()[:-10])


def _change_facts(record):
    manifest = json.loads((record / "manifest.json").read_text())
    manifest["facts"]["mode"] = 511
    (record / "manifest.json").write_text(json.dumps(manifest))


def _list_as_manifest(record):
    (record / "manifest.json").write_text("[]")


@pytest.mark.parametrize(
    "harm",
    [
        _cut_manifest,
        _change_facts,
        _list_as_manifest,
        lambda record: (record / "manifest.json").unlink(),
        lambda record: (record / "content").write_bytes(b"same length"[::-1]),
        lambda record: (record / "content").write_bytes(b""),
        lambda record: (record / "content").unlink(),
    ],
)
async def test_a_damaged_record_is_refused_for_good(store, tmp_path, harm):
    (tmp_path / "old").write_bytes(b"same length")
    await store.keeper(OPERATION).keep({"mode": 420}, blob=tmp_path / "old")
    harm(tmp_path / "state" / "undo" / OPERATION)

    with pytest.raises(StepFailed, match=r"is damaged .* by hand") as failure:
        store.load(OPERATION)
    assert failure.value.permanent
    with pytest.raises(StepFailed, match="is damaged"):
        await store.keeper(OPERATION).keep({"mode": 420})


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", ".hidden", "a\0", "a b", "x" * 300])
def test_an_operation_id_that_could_lead_elsewhere_is_refused(store, name):
    with pytest.raises(ValueError, match="not an operation id"):
        store.keeper(name)
    with pytest.raises(ValueError, match="not an operation id"):
        store.load(name)


async def test_what_a_killed_agent_left_half_kept_is_replaced(store, tmp_path):
    await store.keeper("aa").keep({})
    half = tmp_path / "state" / "undo" / f".{OPERATION}.new"
    half.mkdir()
    (half / "content").write_text("half of it")

    assert store.load(OPERATION) is None
    await store.keeper(OPERATION).keep({"a": 1})

    assert store.load(OPERATION).facts == {"a": 1}
    assert not half.exists()


@pytest.mark.parametrize("kind", ["folder", "link", "pipe", "absent"])
async def test_only_a_regular_file_is_copied(store, tmp_path, kind):
    path = tmp_path / kind
    (tmp_path / "target").write_text("x")
    make = {
        "folder": path.mkdir,
        "link": lambda: path.symlink_to(tmp_path / "target"),
        "pipe": lambda: os.mkfifo(path),
        "absent": lambda: None,
    }
    make[kind]()
    with pytest.raises(StepFailed, match=f"cannot keep a copy of '{path}'"):
        await store.keeper(OPERATION).keep({}, blob=path)
    assert store.load(OPERATION) is None


async def test_on_a_full_disk_nothing_is_left_and_the_message_says_how_much_is_free(
    small_disk, tmp_path
):
    (tmp_path / "old").write_bytes(b"x" * 200_000)
    store = UndoStore(small_disk / "undo")
    with pytest.raises(StepFailed, match=r"no space left \([\d,]+ bytes free, 200,000 needed\)") as e:  # fmt: skip
        await store.keeper(OPERATION).keep({}, blob=tmp_path / "old")
    assert not e.value.permanent
    assert files_in(small_disk) == ["undo"]
    assert store.load(OPERATION) is None

    (tmp_path / "old").write_bytes(b"x" * 2_000)
    assert await store.keeper(OPERATION).keep({}, blob=tmp_path / "old")


async def test_a_cancelled_copy_leaves_nothing(store, tmp_path):
    """The copy meets a source that never ends, until its caller is cancelled."""
    reading = threading.Event()

    class Endless:
        def fileno(self):
            return file.fileno()

        def seek(self, _place):
            return 0

        def read(self, _size):
            reading.set()
            return b"x"

    with (tmp_path / "old").open("w+b", buffering=0) as file:
        keeping = asyncio.create_task(store.keeper(OPERATION).keep({}, blob=Endless()))
        await asyncio.to_thread(reading.wait)
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping
    assert files_in(tmp_path / "state" / "undo") == []


def test_a_stopped_copy_is_no_record(store):
    stop = Stop()
    stop.ask()
    with pytest.raises(WorkStopped):
        store.keep(OPERATION, {}, blob=None, stop=stop)
    assert store.load(OPERATION) is None
