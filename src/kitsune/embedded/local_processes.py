"""Processes that this one starts on this machine, and that never outlive it."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from kitsune.agent.proc import list_processes
from kitsune.embedded import die_with_parent
from kitsune.errors import EmbeddedServerError
from kitsune.names import ENV_DASHBOARD_PREFIX, ENV_SERVER_ID, ENV_STATE_DIR

#: How long a process may take to end before it is killed.
GRACE = timedelta(seconds=10)
#: A log that is larger than this when its process starts is begun anew.
LOG_LIMIT = 10 * 1024 * 1024
_LOOK_EVERY = 0.05
_TAIL = 4096


class LocalProcess:
    """A child process that ends with us, and that only we end.

    It has a session of its own unless it is told otherwise, so that a Ctrl-C in the terminal reaches only us.
    Start it in the main thread: the kernel ends it when the *thread* that started it ends.

    Args:
        name: For messages.
        command: Program and arguments; the program is looked up in PATH.
        env: The whole environment.
        output: Where stdout and stderr go; None: to our own.
        keep_open: File descriptors that it inherits.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        output: BinaryIO | None = None,
        own_session: bool = True,
        keep_open: Iterable[int] = (),
    ) -> None:
        self.name = name
        program = shutil.which(command[0])
        if program is None:
            raise EmbeddedServerError(f"cannot start {name}: no program {command[0]!r}")
        wrapper = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid())]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - an argument list of our own, no shell
                [*wrapper, program, *command[1:]],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL if own_session else None,
                stdout=output,
                stderr=output,
                start_new_session=own_session,
                pass_fds=tuple(keep_open),
            )
        except OSError as error:
            raise EmbeddedServerError(f"cannot start {name}: {error.strerror}") from error

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number when a signal ended it."""
        return self._process.poll()

    async def wait(self) -> int:
        """Return its exit code, once it has ended."""
        while (code := self.exit_code) is None:  # noqa: ASYNC110 - waitpid tells no event loop
            await asyncio.sleep(_LOOK_EVERY)
        return code

    async def stop(self, *, grace: timedelta = GRACE) -> None:
        """End it: SIGTERM, and SIGKILL when it is still there after `grace`, or when we are cancelled."""
        if self.exit_code is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(grace.total_seconds()):
                await self.wait()
        except TimeoutError:
            self.kill()
            await self.wait()
        except asyncio.CancelledError:
            self.kill()
            raise

    def kill(self) -> None:
        """End it at once, with SIGKILL, and all that descends from it: a worker's scripts have sessions of their own."""
        if self.exit_code is not None:
            return
        descendants = _descendants(self.pid)
        self._process.kill()
        for pid in descendants:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    parents = {process.pid: process.parent for process in list_processes().values()}
    found = [pid]
    for ancestor in found:  # grows while we walk it
        found += [child for child, parent in parents.items() if parent == ancestor]
    return found[1:]


def clean_environment(**variables: str) -> dict[str, str]:
    """Return our environment without what would lead a child to another Temporal, state or address."""
    ours = {ENV_SERVER_ID, ENV_STATE_DIR}
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in ours and not key.startswith(("TEMPORAL_", ENV_DASHBOARD_PREFIX))
    }
    return {**kept, **variables}


def ended_text(code: int) -> str:
    """Return how a process ended, for people: `exit code 1`, `signal 9`."""
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def open_log(path: Path) -> BinaryIO:
    """Open a log for appending, readable by its owner only; one that has grown too large begins anew."""
    with suppress(FileNotFoundError):
        if path.stat().st_size > LOG_LIMIT:
            path.unlink()
    return os.fdopen(os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o600), "a+b")


def read_log(log: BinaryIO, *, start: int = 0) -> str:
    """Return the end of what a log holds from `start` on, at most 4 KiB."""
    size = os.fstat(log.fileno()).st_size
    return os.pread(log.fileno(), _TAIL, max(start, size - _TAIL)).decode(errors="replace")


def last_lines(log: BinaryIO, *, start: int = 0, count: int = 5) -> str:
    """Return the last lines that a log holds from `start` on, indented below a message; empty when there is none."""
    lines = [line for line in read_log(log, start=start).splitlines() if line.strip()][-count:]
    return "".join(f"\n  {line}" for line in lines)
