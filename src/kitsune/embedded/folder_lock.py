"""The lock that keeps two Temporal servers off one database file: Temporal itself takes none."""

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from kitsune.errors import EmbeddedServerError

#: How long we wait for the server of a `kitsune dev` that is dead already.
_LAST_BREATH = timedelta(seconds=15)


class FolderLock:
    """An exclusive lock on a folder, held by every process that has its file open.

    The server inherits the open file (`fileno`): when `kitsune dev` is killed, the folder is free only once its server
    has ended too.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def fileno(self) -> int:
        """Return the descriptor that a process inherits to hold the lock as well."""
        return self._file

    async def take(self) -> None:
        """Take the lock and write our process id into it.

        Raises:
            EmbeddedServerError: A living process holds it, or the folder cannot be used.
        """
        with folder_errors(self._path.parent):
            file = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            await _lock(file, folder=self._path.parent)
            os.truncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def release(self) -> None:
        """Let go of the lock; others that inherited it still hold it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


@contextmanager
def folder_errors(folder: Path) -> Iterator[None]:
    """Turn what the system says about a folder into one line that names it.

    Raises:
        EmbeddedServerError: For any OSError within.
    """
    try:
        yield
    except OSError as error:
        raise EmbeddedServerError(
            f"cannot use the state folder {str(folder)!r}: {error.strerror} (--state takes another one)"
        ) from error


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, and the ones above it.

    Raises:
        EmbeddedServerError: It cannot be made.
    """
    with folder_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


async def _lock(file: int, *, folder: Path) -> None:
    deadline = asyncio.get_running_loop().time() + _LAST_BREATH.total_seconds()
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 20, 0).decode(errors="replace").strip()
            if _is_alive(holder) or asyncio.get_running_loop().time() > deadline:
                raise EmbeddedServerError(
                    f"the state folder {str(folder)!r} is in use by process {holder or '?'}: "
                    "end that one, or take another folder (--state) or none (--ephemeral)"
                ) from None
            await asyncio.sleep(0.1)
        else:
            return


def _is_alive(pid: str) -> bool:
    return not pid.isdigit() or Path("/proc", pid).exists()
