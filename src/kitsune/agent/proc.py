"""What `/proc` says about this host's processes."""

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """One process, as it was when `/proc` was read.

    Attributes:
        state: The kernel's letter: `R` runs, `S` sleeps, `T` is stopped, `Z` is a zombie, ...
        session: Process id of the session's leader.
        threads: Threads that still live.
        start_time: Clock ticks between boot and its start; with `pid`, names a process for good.
    """

    pid: int
    state: str
    parent: int
    session: int
    threads: int
    start_time: int

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more: a zombie only waits for its parent to look.

        A process whose main thread has ended reads as a zombie too, while its other threads go on.
        """
        return self.state in "ZX" and self.threads <= 1


def boot_id() -> str:
    """Return what names this boot of the host: process ids and start times mean nothing beyond it."""
    return (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()


def process_start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None where no such process is.

    A zombie still has its start time.
    """
    process = read_process(pid)
    return process.start_time if process else None


def seconds_since(start_time: int) -> float:
    """Return how long ago a process of this boot started."""
    uptime = float((_PROC / "uptime").read_text("ascii").split()[0])
    return uptime - start_time / os.sysconf("SC_CLK_TCK")


def read_process(pid: int) -> Process | None:
    """Return a process, or None where no such process is."""
    try:
        line = (_PROC / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    fields = line[line.rindex(b")") + 2 :].split()
    return Process(
        pid=pid,
        state=fields[0].decode("ascii"),
        parent=int(fields[1]),
        session=int(fields[3]),
        threads=int(fields[17]),
        start_time=int(fields[19]),
    )


def list_processes() -> dict[int, Process]:
    """Return every process that can be seen, by process id."""
    pids = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal())
    return {pid: process for pid in pids if (process := read_process(pid)) is not None}


def started_with(pid: int, *, name: str, value: str) -> bool:
    """Return whether a process was started with this variable in its environment."""
    try:
        block = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False  # ended meanwhile, or another user's
    return f"{name}={value}".encode(errors="surrogateescape") in block.split(b"\0")
