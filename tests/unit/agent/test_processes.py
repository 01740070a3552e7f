"""Finding and ending all processes of an execution."""

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from datetime import timedelta

import pytest

from kitsune.agent.proc import read_process
from kitsune.agent.processes import alive_members, boot_id, end_tree, process_start_time
from kitsune.names import ENV_OPERATION

SECOND = timedelta(seconds=1)
#: Far longer than any bound of `end_tree` here: reached only when it hangs.
HANGS = 30
#: Text of a shell that ignores TERM and says who it is.
HOLD = "trap '' TERM; echo $$ >> \"$PIDS\"; sleep 100; :"


@pytest.fixture
def marker():
    name = f"test-{uuid.uuid4().hex}"
    yield name
    for pid in alive_members(name):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def start(marker, tmp_path):
    """Start a marked shell text in a session of its own, and wait until it has said `ready`."""
    started = []

    def run(text, *, session=True, **more):
        process = subprocess.Popen(
            ["/bin/sh", "-c", text],
            env={
                "PATH": os.environ["PATH"],
                "PIDS": str(tmp_path / "pids"),
                "HOLD": HOLD,
                ENV_OPERATION: marker,
            }
            | more,
            stdout=subprocess.PIPE,
            start_new_session=session,
        )
        started.append(process)
        assert process.stdout.readline() == b"ready\n"
        return process

    yield run
    for process in started:
        for pid in alive_members(marker, process.pid):
            os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()
        process.stdout.close()


async def until_gone(pid):
    while (process := read_process(pid)) is not None and not process.ended:
        await asyncio.sleep(0.01)


async def pids_in(path, count):
    while not path.exists() or len(path.read_text().split()) < count:
        await asyncio.sleep(0.01)
    return [int(pid) for pid in path.read_text().split()]


def test_a_boot_and_a_process_have_stable_names():
    assert boot_id() == boot_id()
    assert process_start_time(os.getpid()) == process_start_time(os.getpid())


def test_a_process_that_never_was_has_no_start_time():
    assert process_start_time(2**22 + 1) is None


def test_a_program_name_with_parentheses_is_read(tmp_path):
    odd = tmp_path / "a) S 1 (b"
    odd.symlink_to(sys.executable)
    process = subprocess.Popen([odd, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert read_process(process.pid).parent == os.getpid()
    finally:
        process.communicate(b"\n")


def test_a_zombie_has_a_start_time_but_is_no_member(start, marker):
    process = start("echo ready")
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process_start_time(process.pid) is not None
    assert alive_members(marker, process.pid) == []


async def test_an_orphan_without_the_marker_is_a_member_through_its_session(
    start, marker, tmp_path
):
    process = start('( env -i PIDS="$PIDS" sh -c "$HOLD" & ) & echo ready; exec sleep 100')
    (pid,) = await pids_in(tmp_path / "pids", 1)
    assert pid in alive_members(marker, process.pid)


async def test_an_unmarked_orphan_is_a_member_through_its_session_mates(start, marker, tmp_path):
    inner = '( env -i PIDS="$PIDS" PATH="$PATH" sh -c "$HOLD" & ); exec sleep 100'
    start('setsid sh -c "$INNER" & echo ready', INNER=inner).wait()
    (pid,) = await pids_in(tmp_path / "pids", 1)
    assert pid in alive_members(marker)
    assert await end_tree(marker, None, grace=SECOND / 5) == []


async def test_processes_of_another_execution_are_left_alone(start, marker):
    other = start("echo ready; exec sleep 100", **{ENV_OPERATION: f"{marker}-other"})
    assert alive_members(marker) == []
    assert await end_tree(marker, None, grace=SECOND) == []
    assert other.poll() is None


def test_this_process_is_never_a_member(marker):
    text = (
        "import os, sys; from kitsune.agent.processes import alive_members;"
        "print(os.getpid() in alive_members(sys.argv[1], os.getpid()))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", text, marker],
        env=os.environ | {ENV_OPERATION: marker},
        capture_output=True,
        check=True,
    )
    assert ended.stdout == b"False\n"


async def test_a_tree_that_hears_term_ends_by_term(start, marker):
    process = start("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 100 & wait; done")
    async with asyncio.timeout(HANGS):
        assert await end_tree(marker, process.pid, grace=timedelta(seconds=20)) == []
    assert process.stdout.readline() == b"bye\n"
    assert process.wait() == 3
    assert alive_members(marker) == []


async def test_what_a_trap_starts_may_finish(start, marker):
    text = (
        "trap 'sh -c \"echo cleaned\"; exit 0' TERM; echo ready; while :; do sleep 100 & wait; done"
    )
    process = start(text)
    async with asyncio.timeout(HANGS):
        assert await end_tree(marker, process.pid, grace=timedelta(seconds=20)) == []
    assert process.stdout.readline() == b"cleaned\n"


async def test_a_stopped_process_hears_term(start, marker):
    process = start("trap 'echo bye; exit' TERM; echo ready; kill -STOP $$; exit 5")
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    async with asyncio.timeout(HANGS):
        assert await end_tree(marker, process.pid, grace=timedelta(seconds=20)) == []
    assert process.stdout.readline() == b"bye\n"


async def test_nothing_escapes_that_ignores_term_in_a_session_of_its_own(start, marker, tmp_path):
    process = start(
        """
        trap '' TERM
        setsid sh -c "$HOLD" &
        ( ( setsid sh -c "$HOLD" & ) )
        env -i PIDS="$PIDS" PATH="$PATH" setsid sh -c "$HOLD" &
        sh -c "$HOLD" &
        echo ready
        while :; do sleep 100; done
        """
    )
    pids = await pids_in(tmp_path / "pids", 4)
    assert set(pids) <= set(alive_members(marker, process.pid))
    async with asyncio.timeout(HANGS):
        assert await end_tree(marker, process.pid, grace=SECOND / 5) == []
    for pid in pids:
        await until_gone(pid)
    assert process.wait() == -signal.SIGKILL


async def test_an_orphan_that_was_seen_once_is_not_forgotten(start, marker, tmp_path):
    # After TERM its parent is gone, it carries no marker and has its own session.
    process = start('env -i PIDS="$PIDS" PATH="$PATH" setsid sh -c "$HOLD" & echo ready; wait')
    (pid,) = await pids_in(tmp_path / "pids", 1)
    async with asyncio.timeout(HANGS):
        assert await end_tree(marker, process.pid, grace=SECOND / 5) == []
    await until_gone(pid)


async def test_what_an_unmarked_process_starts_at_the_last_moment_is_found(start, marker, tmp_path):
    late = (
        'trap \'sh -c "$HOLD" & exit\' TERM; echo $$ >> "$PIDS"; while :; do sleep 100 & wait; done'
    )
    process = start(
        'env -i PIDS="$PIDS" PATH="$PATH" HOLD="$HOLD" setsid sh -c "$LATE" & echo ready; wait',
        LATE=late,
    )
    await pids_in(tmp_path / "pids", 1)
    async with asyncio.timeout(HANGS):
        assert await end_tree(marker, process.pid, grace=SECOND / 2) == []
    for pid in await pids_in(tmp_path / "pids", 2):
        await until_gone(pid)


async def test_a_member_that_leaves_its_session_and_its_parent_is_not_forgotten(
    start, marker, tmp_path
):
    leaves = "import os, signal; signal.signal(15, lambda *_: os.setsid()); print(os.getpid(), flush=True)"
    process = start(
        'env -i "$PYTHON" -c "$LEAVES" >> "$PIDS" & echo ready; exec sleep 100',
        PYTHON=sys.executable,
        LEAVES=f"{leaves}\nwhile True: signal.pause()",
    )
    (pid,) = await pids_in(tmp_path / "pids", 1)
    async with asyncio.timeout(HANGS):
        assert await end_tree(marker, process.pid, grace=SECOND / 2) == []
    await until_gone(pid)


async def test_leftovers_are_found_when_the_first_process_is_gone(start, marker, tmp_path):
    process = start('setsid sh -c "$HOLD" & echo ready')
    process.wait()
    (pid,) = await pids_in(tmp_path / "pids", 1)
    assert pid in alive_members(marker)
    async with asyncio.timeout(HANGS):
        assert await end_tree(marker, None, grace=SECOND / 5) == []
    await until_gone(pid)


async def test_nothing_to_end_is_done_at_once(marker):
    async with asyncio.timeout(HANGS):
        assert await end_tree(marker, None, grace=timedelta(days=1)) == []


async def test_a_first_process_that_is_long_gone_is_no_error(start, marker):
    process = start("echo ready")
    process.wait()
    async with asyncio.timeout(HANGS):
        assert await end_tree(marker, process.pid, grace=SECOND) == []
