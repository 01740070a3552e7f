"""Reading back what a shim has written: every byte that is kept, no byte of anything else."""

import json

import pytest

from kitsune.agent.logs import find_output
from kitsune.agent.shim import RING, Spool

OPERATION = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def operations(tmp_path):
    folder = tmp_path / "operations"
    folder.mkdir()
    return folder


@pytest.fixture
def spool(operations):
    """Let a program print something, as its shim writes it; `runs` counts restarts of the host."""

    def spool(data, *, stream="stdout", attempt=1, runs=0, cap=1 << 20):
        folder = operations / OPERATION / str(attempt)
        for _ in range(runs):
            folder = folder / "again"
        folder.mkdir(parents=True, exist_ok=True)
        kept = Spool(str(folder), stream, cap)
        kept.feed(data)
        kept.close()
        return folder

    return spool


def whole(log, page=1000):
    """Return a stream page by page as `offset, data` pairs."""
    pages, offset = [], 0
    while chunk := log.read(offset, page).data:
        start = log.read(offset, page).offset
        pages.append((start, chunk))
        offset = start + len(chunk)
    return pages


def test_a_stream_is_read_back_byte_by_byte_in_pages(operations, spool):
    data = bytes(range(256)) * 20
    spool(data)
    log = find_output(operations, OPERATION, 1, "stdout")
    assert log.size == len(data)
    assert b"".join(chunk for _, chunk in whole(log)) == data


def test_an_offset_below_zero_counts_from_the_end(operations, spool):
    spool(b"0123456789")
    log = find_output(operations, OPERATION, 1, "stdout")
    assert (log.read(-4, 2).offset, log.read(-4, 2).data) == (6, b"67")
    assert log.read(-100, 100).data == b"0123456789"


def test_at_the_end_there_is_nothing(operations, spool):
    spool(b"0123456789")
    log = find_output(operations, OPERATION, 1, "stdout")
    assert (log.read(10, 5).offset, log.read(10, 5).data) == (10, b"")
    assert log.read(99, 5).offset == 10


def test_beyond_the_cap_only_the_end_is_kept_and_the_gap_is_told(operations, spool):
    data = b"".join(b"%07d\n" % number for number in range(40_000))
    spool(data, cap=1000)
    log = find_output(operations, OPERATION, 1, "stdout")
    assert log.size == len(data)
    assert log.read(0, len(data)).data == data[:1000], "a page never hides a gap"
    chunk = log.read(1000, len(data))
    assert chunk.data == data[-RING:]
    assert chunk.offset == len(data) - RING
    assert chunk.skipped == len(data) - RING - 1000


def test_where_head_and_tail_overlap_no_byte_comes_twice(operations, spool):
    data = b"x" * 1000 + b"y" * 200
    spool(data, cap=1000)
    log = find_output(operations, OPERATION, 1, "stdout")
    assert b"".join(chunk for _, chunk in whole(log, 333)) == data


def test_runs_before_and_after_a_restart_of_the_host_are_one_stream(operations, spool):
    spool(b"before\n")
    spool(b"after\n", runs=1)
    spool(b"and again\n", runs=2)
    log = find_output(operations, OPERATION, 1, "stdout")
    assert log.read(0, 1000).data == b"before\nafter\nand again\n"


def test_what_a_full_disk_has_swallowed_is_counted(operations, spool):
    folder = spool(b"the first part")
    (folder / "exit.json").write_text(json.dumps({"stdout": 5000, "stderr": 0}))
    log = find_output(operations, OPERATION, 1, "stdout")
    assert log.size == 5000
    assert log.read(0, 100).data == b"the first part"
    assert (log.read(14, 100).offset, log.read(14, 100).data) == (5000, b"")


def test_each_execution_and_stream_has_output_of_its_own(operations, spool):
    spool(b"one", attempt=1)
    spool(b"two", attempt=2)
    spool(b"oops", attempt=2, stream="stderr")
    read = [
        find_output(operations, OPERATION, attempt, stream).read(0, 10).data
        for attempt, stream in ((1, "stdout"), (2, "stdout"), (2, "stderr"))
    ]
    assert read == [b"one", b"two", b"oops"]


def test_no_output_is_no_stream(operations, spool):
    assert find_output(operations, OPERATION, 1, "stdout") is None
    spool(b"one")
    assert find_output(operations, OPERATION, 1, "stderr") is None
    assert find_output(operations, OPERATION, 2, "stdout") is None


def test_only_the_two_streams_have_names(operations):
    with pytest.raises(ValueError, match="no such stream"):
        find_output(operations, OPERATION, 1, "../../lock")


@pytest.mark.parametrize("planted", ["file", "folder"])
def test_no_symbolic_link_is_followed(operations, spool, tmp_path, planted):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "stdout.log").write_text("secret")
    if planted == "file":
        spool(b"").joinpath("stdout.log").unlink()
        (operations / OPERATION / "1" / "stdout.log").symlink_to(secret / "stdout.log")
    else:
        (operations / OPERATION).mkdir()
        (operations / OPERATION / "1").symlink_to(secret)
    assert find_output(operations, OPERATION, 1, "stdout") is None
