"""Follows a program that runs under a shim: one that was just started, or that a dead agent has left."""

import asyncio
import json
import marshal
import os
import signal
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path
from typing import Any

from kitsune.agent import shim
from kitsune.agent.failpoints import failpoint
from kitsune.agent.launch import Program, check_program, start_failure
from kitsune.agent.proc import Process, boot_id, read_process
from kitsune.agent.processes import end_tree
from kitsune.errors import NothingLeft, StepFailed
from kitsune.names import ENV_OPERATION

#: How often a shim is looked at where Python offers no file descriptor for processes.
_POLL_SECONDS = 0.02
#: What a shim may take beside the grace to end a tree and write its record.
_SHIM_SECONDS = 8.0


@dataclass(frozen=True)
class Shimmed:
    """A process that was recorded before it started anything.

    Attributes:
        boot_id, pid, start_time: Which one; the process id alone may mean another one by now.
    """

    boot_id: str
    pid: int
    start_time: int | None

    def find(self) -> Process | None:
        """Return the process, where it still runs."""
        found = read_process(self.pid) if self.boot_id == boot_id() else None
        if found is None or found.ended or found.start_time != self.start_time:
            return None
        return found


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a program may take, and how it is ended.

    Attributes:
        timeout: The shim ends it then, whether or not an agent lives.
        grace: Time between TERM and KILL.
        limits: `memory` in bytes, `processes`; of the whole tree.
        remove: Files to remove once it has ended.
    """

    timeout: timedelta
    grace: timedelta
    limits: Mapping[str, int] = field(default_factory=dict)
    remove: tuple[str, ...] = ()


async def start_under_shim(
    program: Program,
    folder: Path,
    *,
    marker: str,
    bounds: Bounds,
    record_process: Callable[[int], Awaitable[None]],
) -> Shimmed:
    """Start a shim, have it recorded, and only then let it start the program.

    Raises:
        StepFailed: The program cannot be started, or the shim cannot keep its record.
    """
    order = _order(program, folder, marker=marker, bounds=bounds)
    (folder / shim.EXIT_FILE).unlink(missing_ok=True)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        pid = _spawn(theirs, program, marker)
        found = read_process(pid)
        theirs.close()
        ours.setblocking(False)  # noqa: FBT003 - its only parameter
        try:
            await _hand_over(ours, order)
            failpoint("shim.ready")
            await record_process(pid)
            failpoint("shim.recorded")
            await asyncio.get_running_loop().sock_sendall(ours, b"G")
        except BaseException:
            ours.close()  # it ends by itself, for nobody will say go
            await _uninterrupted(
                _gone(Shimmed(boot_id(), pid, found.start_time if found else None))
            )
            raise
        failpoint("shim.going")
    return Shimmed(boot_id(), pid, found.start_time if found else None)


async def follow(process: Shimmed, folder: Path, *, marker: str) -> dict[str, Any]:
    """Wait for the end of a shim and return its record.

    Raises:
        NothingLeft: It has died without one; what it ran is ended.
    """
    await _exit_of(process)
    _reap(process.pid)
    failpoint("shim.ended")
    record = read_record(folder)
    if record is None:
        await end_tree(marker, None, grace=timedelta(0))
        raise NothingLeft("what watched over the script died without a word")
    return record


async def end_shimmed(
    process: Shimmed,
    *,
    marker: str,
    grace: timedelta,
    on_left: Callable[[list[int]], None],
) -> None:
    """End a program with its whole tree, however often the caller is cancelled meanwhile."""
    await _uninterrupted(_end(process, marker, grace, on_left))


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return how the program of a folder ended, or None where that is not on record."""
    try:
        record = json.loads((folder / shim.EXIT_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def left_behind(record: Mapping[str, Any] | None) -> list[int]:
    """Return the processes that a shim could not end and that are still there."""
    found = []
    for known in (record or {}).get("left") or []:
        if isinstance(known, list):  # else the shim of an older Kitsune wrote it
            process = read_process(known[0])
            if process and not process.ended and process.start_time == known[1]:
                found.append(process.pid)
    return found


def check_started(record: Mapping[str, Any], program: Program) -> None:
    """Raise what kept a program from starting.

    Raises:
        StepFailed: It did not start.
    """
    if "startError" in record:
        number, stage = record["startError"]
        executable, cwd = check_program(program)
        filename = cwd if stage == "cwd" else executable
        error = OSError(number, os.strerror(number), filename)
        raise start_failure(error, executable, program, cwd=cwd)


def signal_name(number: int) -> str:
    """Return the name of a signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def compiled_form(source: Path) -> Path:
    """Return the compiled form of a module where Python keeps a current one: compiling anew takes milliseconds."""
    with suppress(OSError, NotImplementedError):
        compiled, made_of = Path(cache_from_source(str(source))), source.stat()
        with compiled.open("rb") as file:
            header = file.read(
                16
            )  # magic number, flags, and the time and size of the source, see PEP 552
        expected = MAGIC_NUMBER + struct.pack("<III", 0, int(made_of.st_mtime), made_of.st_size)
        return compiled if header == expected else source
    return source


def _spawn(control: socket.socket, program: Program, marker: str) -> int:
    number = control.fileno()
    kept = [number, *program.inherited, *([] if program.stdin is None else [program.stdin])]
    nothing = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_RDWR, 0) for n in range(3)]
    same = [(os.POSIX_SPAWN_DUP2, descriptor, descriptor) for descriptor in kept]
    command = [sys.executable, "-I", "-S", str(compiled_form(Path(shim.__file__))), str(number)]
    try:
        return os.posix_spawn(
            command[0],
            command,
            {ENV_OPERATION: marker},
            file_actions=nothing + same,
            setsid=True,
        )
    except OSError as error:
        raise StepFailed(f"cannot start the script's shim: {error.strerror}") from error


def _order(program: Program, folder: Path, *, marker: str, bounds: Bounds) -> dict[str, Any]:
    executable, cwd = check_program(program)
    account = None if program.account and program.account.is_own else program.account
    return {
        "folder": str(folder.absolute()),
        "name": f"{marker[:32]}-{folder.name}",
        "argv": list(program.argv),
        "executable": executable,
        "environment": dict(program.environment),
        "cwd": cwd,
        "stdin": -1 if program.stdin is None else program.stdin,
        "inherited": list(program.inherited),
        "uid": account.uid if account else None,
        "gid": account.gid if account else None,
        "groups": list(account.groups) if account else [],
        "timeout": bounds.timeout.total_seconds(),
        "grace": bounds.grace.total_seconds(),
        "limits": dict(bounds.limits),
        "remove": list(bounds.remove),
        "cap": shim.OUTPUT_CAP,
    }


async def _hand_over(control: socket.socket, order: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    data = marshal.dumps(order)
    said = b""
    with suppress(OSError):
        await loop.sock_sendall(control, len(data).to_bytes(8, "big") + data)
        said = await loop.sock_recv(control, 1000)
    if said != b"R":
        why = said[1:].decode(errors="replace") or "it died"
        raise StepFailed(f"cannot start the script's shim: {why}")


async def _exit_of(process: Shimmed) -> None:
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # a Python or a kernel without it
        while process.find():  # noqa: ASYNC110 - nothing would set an event
            await asyncio.sleep(_POLL_SECONDS)
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    try:
        if process.find() is None:  # ended, or the id is another's by now
            return
        loop.add_reader(descriptor, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):  # another agent's child, once
        os.waitpid(pid, 0 if _is_zombie(pid) else os.WNOHANG)


def _is_zombie(pid: int) -> bool:
    found = read_process(pid)
    return found is not None and found.ended


async def _gone(process: Shimmed) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_SHIM_SECONDS):
            await _exit_of(process)
    if process.find():
        os.kill(process.pid, signal.SIGKILL)
        await _exit_of(process)
    _reap(process.pid)


async def _end(
    process: Shimmed,
    marker: str,
    grace: timedelta,
    on_left: Callable[[list[int]], None],
) -> None:
    if process.find():
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
            os.kill(process.pid, signal.SIGCONT)
        with suppress(TimeoutError):
            async with asyncio.timeout(grace.total_seconds() + _SHIM_SECONDS):
                await _exit_of(process)
    root = process.pid if process.find() else None
    _reap(process.pid)
    # Nothing is left where the shim has done its work; but it may have been killed itself.
    left = await end_tree(marker, root, grace=timedelta(0))
    _reap(process.pid)
    if left:
        on_left(left)


async def _uninterrupted(work: Coroutine[Any, Any, None]) -> None:
    """Await `work` to its end, however often the caller is cancelled."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()
