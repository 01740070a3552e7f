"""Finds and ends every process that one execution has started, however far it has wandered off.

Members are found by four signs, for each alone can be shaken off: a marker in the environment (inherited by
every child), the session of the first process, descent from a member, and the session of a member.
A process that drops all of them at once (a daemon that empties its environment before anybody looks) is not found.
"""

import asyncio
import contextlib
import os
import signal
from datetime import timedelta

from kitsune.agent.proc import (
    Process,
    boot_id,
    list_processes,
    process_start_time,
    read_process,
    started_with,
)
from kitsune.names import ENV_OPERATION

__all__ = ["alive_members", "boot_id", "end_tree", "process_start_time"]

#: How long KILL is repeated: new children may appear between looking and killing.
_KILL_SECONDS = 5.0
_SHORTEST_WAIT, _LONGEST_WAIT = 0.01, 0.2
#: How often all of `/proc` is read during the grace: often enough that no id can be taken again unseen.
_LOOK_SECONDS = 2.0


def alive_members(marker: str, root_pid: int | None = None) -> list[int]:
    """Return the process ids of an execution that still run, sorted; zombies do not count.

    Args:
        marker: The operation id that every process of the execution carries in `KITSUNE_OPERATION`.
        root_pid: The first process, when the caller knows that the id still means that process
            (see `process_start_time`); it leads a session of its own.
    """
    return _Tree(marker, root_pid).look()


async def end_tree(marker: str, root_pid: int | None, *, grace: timedelta) -> list[int]:
    """End every process of an execution: TERM, `grace`, then KILL until none is left.

    Returns after `grace` and five seconds at the latest. This process itself is never signalled.

    Args:
        marker: As in `alive_members`.
        root_pid: As in `alive_members`.
        grace: How long processes may take to end after TERM.

    Returns:
        The process ids that are still alive: stuck in the kernel, or another user's. Empty in all other cases.
    """
    tree = _Tree(marker, root_pid)
    if not tree.look():
        return []
    tree.signal(signal.SIGTERM)
    if await _ends_within(tree, grace):
        return []
    clock = asyncio.get_running_loop().time
    deadline, wait = clock() + _KILL_SECONDS, _SHORTEST_WAIT
    while (left := tree.look()) and clock() < deadline:
        tree.signal(signal.SIGKILL)
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)
    return left


async def _ends_within(tree: "_Tree", grace: timedelta) -> bool:
    clock = asyncio.get_running_loop().time
    deadline, wait = clock() + grace.total_seconds(), _SHORTEST_WAIT
    next_look = clock() + _LOOK_SECONDS
    while (left := deadline - clock()) > 0:
        await asyncio.sleep(min(wait, left))
        wait = min(2 * wait, _LONGEST_WAIT)
        waiting = tree.told_alive()
        if waiting and clock() < next_look:
            continue
        if not tree.look():
            return True
        if not waiting:
            # Born while the others were told; none of those is left to clean up through them.
            tree.signal(signal.SIGTERM)
        next_look = clock() + _LOOK_SECONDS
    return False


class _Tree:
    """The processes of one execution; remembers whom it has seen, for orphans lose their descent."""

    def __init__(self, marker: str, root_pid: int | None) -> None:
        self._marker = marker
        self._root = read_process(root_pid) if root_pid is not None else None
        self._members: dict[int, Process] = {}
        self._sessions: set[int] = set()
        self._told: list[Process] = []

    def look(self) -> list[int]:
        """Read `/proc` once and return the members that are alive."""
        table = list_processes()
        living = {
            pid: process
            for pid, process in table.items()
            if not process.ended and pid not in (1, os.getpid())
        }
        sessions = self._sessions | self._root_session(table)
        seeds = {pid for pid, process in living.items() if self._is_seed(process, sessions)}
        found, self._sessions = _grow(seeds, living)
        self._members = {pid: living[pid] for pid in found}
        return sorted(self._members)

    def told_alive(self) -> bool:
        """Return whether anybody who got the last signal still runs; cheaper than `look`."""
        return any(_same(process) for process in self._told)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every member that was seen last."""
        self._told = list(self._members.values())
        for process in self._told:
            current = _same(process)
            if current is None:
                continue
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, number)
                if current.state == "T":
                    os.kill(process.pid, signal.SIGCONT)  # a stopped process does not hear TERM

    def _root_session(self, table: dict[int, Process]) -> set[int]:
        # While the first process or its zombie is there, its id cannot name another session.
        root = self._root
        now = table.get(root.pid) if root else None
        return {root.pid} if root and now and now.start_time == root.start_time else set()

    def _is_seed(self, process: Process, sessions: set[int]) -> bool:
        if process.session in sessions or process.pid in sessions:
            return True
        known = self._members.get(process.pid)
        if known is not None and known.start_time == process.start_time:
            return True
        return self._carries_marker(process)

    def _carries_marker(self, process: Process) -> bool:
        return started_with(process.pid, name=ENV_OPERATION, value=self._marker)


def _grow(found: set[int], living: dict[int, Process]) -> tuple[set[int], set[int]]:
    """Add descendants and session mates until nothing is added any more.

    Returns:
        The members, and the sessions in which any of them is: a session that has emptied may soon be another's.
    """
    not_theirs = {os.getsid(0), 0}
    while True:
        theirs = {living[pid].session for pid in found} - not_theirs
        grown = found | {
            pid
            for pid, process in living.items()
            if process.parent in found or process.session in theirs
        }
        if grown == found:
            return found, theirs
        found = grown


def _same(process: Process) -> Process | None:
    """Return a process as it is now, or None when it has ended, even if its id is taken again."""
    current = read_process(process.pid)
    if current is None or current.ended or current.start_time != process.start_time:
        return None
    return current
