"""Processes of a benchmark: started so that they end with us, timed, and looked at in /proc."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kitsune.agent.proc import list_processes
from kitsune.embedded import die_with_parent

_TICKS = os.sysconf("SC_CLK_TCK")
_TAIL = 2000


@dataclass(frozen=True)
class Ended:
    """A command that came to its end.

    Attributes:
        seconds: From its start to its end.
        cpu: Seconds of processor time of it and of all children that it waited for.
    """

    seconds: float
    cpu: float


def command_prefix() -> list[str]:
    """Return what makes a command end when we end, however we end."""
    return [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid())]


async def run_command(
    command: Sequence[str | Path],
    *,
    log: Path,
    limit: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    guarded: bool = True,
) -> Ended:
    """Run a command to its end, output into a file.

    Args:
        command: Program as an absolute path, and arguments.
        log: Gets stdout and stderr.
        limit: Seconds after which it is ended, with everything that it has started.
        env: Its whole environment; None: ours.
        cwd: Its working folder; None: ours.
        guarded: It ends even if we are killed; costs 15 ms, which are too many for what takes no more itself.

    Raises:
        RuntimeError: It failed; the text holds the end of its output.
        TimeoutError: It took too long.
    """
    with log.open("ab") as output:
        began = time.perf_counter()
        process = subprocess.Popen(  # noqa: ASYNC220 - asyncio would keep its resource usage to itself
            [*(command_prefix() if guarded else ()), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
        waiting = asyncio.create_task(asyncio.to_thread(os.wait4, process.pid, 0))
        try:
            _, status, usage = await asyncio.wait_for(asyncio.shield(waiting), limit)
        except (TimeoutError, asyncio.CancelledError):
            end_tree(process.pid)
            await waiting
            process.returncode = -signal.SIGKILL
            raise
        seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        said = _end_of(log)
        raise RuntimeError(f"{Path(command[0]).name} ended with {process.returncode}: {said}")
    return Ended(seconds, usage.ru_utime + usage.ru_stime)


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-_TAIL:]


def end_tree(pid: int) -> None:
    """Kill a process of ours and all that descends from it."""
    for one in tree_of(pid):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def tree_of(pid: int) -> list[int]:
    """Return a process and all that descends from it, parents first."""
    parents = {process.pid: process.parent for process in list_processes().values()}
    found = [pid]
    for ancestor in found:  # grows while we walk it
        found += [child for child, parent in parents.items() if parent == ancestor]
    return found


def cpu_of(pid: int) -> float:
    """Return seconds of processor time of a process, its descendants, and the children that it has waited for."""
    return sum(_ticks(one) for one in tree_of(pid)) / _TICKS


def _ticks(pid: int) -> int:
    try:
        line = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    fields = line[line.rindex(b")") + 2 :].split()
    return sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime


@dataclass(frozen=True)
class Look:
    """What a process holds at one moment; memory in MB of 2**20 bytes."""

    rss: float
    peak: float
    threads: int
    descriptors: int
    cpu: float


def look_at(pid: int) -> Look:
    """Return what one process holds, without its descendants but for their processor time."""
    words = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return Look(
        rss=int(words["VmRSS"].split()[0]) / 1024,
        peak=int(words["VmHWM"].split()[0]) / 1024,
        threads=int(words["Threads"]),
        descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        cpu=cpu_of(pid),
    )


def memory_of_tree(pid: int, *, itself: bool = True) -> float:
    """Return MB of a process and all that descends from it now."""
    found = 0.0
    for one in tree_of(pid)[0 if itself else 1 :]:
        with suppress(OSError, KeyError):  # ended meanwhile, or is about to
            found += look_at(one).rss
    return found


def available_memory() -> float:
    """Return how many MB can be taken without swapping."""
    line = next(
        line
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemAvailable")
    )
    return int(line.split()[1]) / 1024
