"""Runs one program from its start to its end: reads what it prints, and ends its whole tree when told to stop."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kitsune.agent.launch import Program, start_program
from kitsune.agent.output import OutputCapture
from kitsune.agent.processes import end_tree

#: How long a pipe is read on after the program has ended, because a process that it left behind holds it.
_AFTER_END_SECONDS = 1.0
_CHUNK_BYTES = 64 * 1024
#: How often a program is looked at where Python offers no file descriptor for processes.
_POLL_SECONDS = 0.02
#: What a shell adds to a signal's number to make an exit code of it.
_SIGNALLED = 128


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        exit_code: Its exit code; 128 and the signal's number where a signal ended it, as in a shell.
        signal: Name of that signal, or None.
    """

    exit_code: int
    signal: str | None


async def run_program(
    program: Program,
    *,
    marker: str,
    grace: timedelta,
    stdout: OutputCapture,
    stderr: OutputCapture,
    record_process: Callable[[int], Awaitable[None]],
    on_left: Callable[[list[int]], None],
) -> Ended:
    """Run a program to its end.

    What it leaves running when it ends by itself is left alone, but no longer read from.
    When this coroutine is cancelled, the whole tree gets TERM, `grace`, then KILL, however often it is cancelled
    again; the cancellation goes on when nothing is left, or a few seconds after `grace`.

    Args:
        program: What to run.
        marker: What every process of the tree carries, see `end_tree`.
        grace: How long processes may take to end after TERM.
        stdout: Takes what it prints.
        stderr: Likewise.
        record_process: Told the process id once it runs.
        on_left: Told of processes that survived even KILL.

    Raises:
        StepFailed: It cannot be started.
    """
    pipes: list[_Pipe] = []
    try:
        pipes += [_Pipe(stdout)]
        pipes += [_Pipe(stderr)]
        process = start_program(program, stdout=pipes[0].write_end, stderr=pipes[1].write_end)
        try:
            for pipe in pipes:
                pipe.start()
            await record_process(process.pid)
            await _exit_of(process.pid)
            await _read_rest(pipes)
        except BaseException:
            await _uninterrupted(_end(process.pid, pipes, marker, grace, on_left))
            raise
        finally:
            # Not before: until it is reaped, the process id cannot mean anybody else.
            code = process.poll()
    finally:
        for pipe in pipes:
            pipe.close()
    if code is None:
        raise RuntimeError(f"process {process.pid} has ended without an exit code")
    return Ended(code, None) if code >= 0 else Ended(_SIGNALLED - code, _signal_name(-code))


class _Pipe:
    """A pipe from a program into a capture."""

    def __init__(self, capture: OutputCapture) -> None:
        self._loop = asyncio.get_running_loop()
        self._capture = capture
        self._read_end, self.write_end = os.pipe()
        self._open = {self._read_end, self.write_end}
        self.ended = asyncio.Event()

    def start(self) -> None:
        """Read from now on; the program holds the other end."""
        self._close(self.write_end)
        os.set_blocking(self._read_end, False)
        self._loop.add_reader(self._read_end, self._read)

    def close(self) -> None:
        self._loop.remove_reader(self._read_end)
        self._close(self._read_end)
        self._close(self.write_end)

    def _read(self) -> None:
        try:
            chunk = os.read(self._read_end, _CHUNK_BYTES)
        except BlockingIOError:
            return
        if chunk:
            self._capture.feed(chunk)
        else:
            self._loop.remove_reader(self._read_end)
            self.ended.set()

    def _close(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.remove(descriptor)
            os.close(descriptor)


async def _exit_of(pid: int) -> None:
    """Wait until a child has ended, and leave it to be reaped."""
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):  # a Python or a kernel without it
        while not _has_ended(pid):  # noqa: ASYNC110 - nothing would set an event
            await asyncio.sleep(_POLL_SECONDS)
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


async def _read_rest(pipes: list[_Pipe]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_AFTER_END_SECONDS):
            for pipe in pipes:
                await pipe.ended.wait()


async def _end(
    pid: int,
    pipes: list[_Pipe],
    marker: str,
    grace: timedelta,
    on_left: Callable[[list[int]], None],
) -> None:
    if left := await end_tree(marker, pid, grace=grace):
        on_left(left)
    await _read_rest(pipes)


async def _uninterrupted(work: Coroutine[Any, Any, None]) -> None:
    """Await `work` to its end, however often the caller is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
