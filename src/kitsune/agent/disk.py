"""Durable writes, and plain words for what a disk refuses."""

import errno
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from kitsune.errors import StepFailed

#: Bytes that are read or written at once: files are never held whole in memory.
CHUNK = 1024 * 1024
#: Bytes that must find room before anything is begun.
PROBE = 64 * 1024
#: So long a proof of room holds where so many bytes are free besides.
_PROOF_SECONDS = 10.0
_PLENTY = 256 * 1024 * 1024
#: Refusals that another execution would meet again.
_LASTING = {
    errno.EACCES,
    errno.EBUSY,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of it, in as many writes as the kernel wants."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def sync_folder(folder: int | Path) -> None:
    """Make renames, creations and removals in a folder survive a power cut.

    Args:
        folder: Its path, or an open descriptor.
    """
    if isinstance(folder, Path):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sync_folder(descriptor)
        finally:
            os.close(descriptor)
        return
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync a folder at all
            raise


def sync_way(folder: Path, *, above: int) -> None:
    """Make a folder survive a power cut together with the entries that lead to it.

    Args:
        folder: Its path.
        above: How many of the folders above it may be as new.
    """
    for each in (folder, *folder.parents[:above]):
        sync_folder(each)


def prove_room(folder: Path) -> None:
    """Prove that something can be written in a folder, by doing it.

    Raises:
        OSError: It cannot.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder, buffering=0) as probe:
        write_all(probe.fileno(), bytes(PROBE))


class RoomProof:
    """Proves again and again that something can be written in a folder, without doing it each time.

    Where it was done within the last seconds, and the file system says that there is plenty left, that will do.
    """

    def __init__(self, folder: Path) -> None:
        """Take a folder."""
        self.folder = folder
        self._proved_at: float | None = None

    def renew(self, *, anew: bool = False) -> None:
        """Prove it, by doing it where that was not done just now.

        Args:
            anew: Do it in any case.

        Raises:
            OSError: It cannot be done.
        """
        now = time.monotonic()
        fresh = self._proved_at is not None and now - self._proved_at < _PROOF_SECONDS
        if fresh and not anew and self._has_plenty():
            return
        self._proved_at = None
        prove_room(self.folder)
        self._proved_at = now

    def _has_plenty(self) -> bool:
        found = os.statvfs(self.folder)
        read_only = bool(found.f_flag & os.ST_RDONLY)
        inodes = not found.f_files or found.f_favail > 0
        return not read_only and inodes and found.f_bavail * found.f_frsize > _PLENTY


def refused(error: OSError, path: Path, *, doing: str, needed: int | None = None) -> StepFailed:
    """Return the failure that says in plain words what the disk refused.

    Args:
        error: What the kernel said.
        path: What it was about.
        doing: What was being done to it, as in `write`.
        needed: Bytes that were to be written; shown when there was no room for them.
    """
    return StepFailed(
        f"cannot {doing} {str(path)!r}: {_reason(error, path, needed)}",
        permanent=error.errno in _LASTING,
    )


def _reason(error: OSError, path: Path, needed: int | None) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _no_room(error, path, needed)
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"no permission (this local worker runs as uid {os.geteuid()}; {error.strerror})"
    if error.errno == errno.ENAMETOOLONG:
        longest = max(len(os.fsencode(part)) for part in path.parts)
        whole = len(os.fsencode(path))
        return f"the name is too long: {whole} bytes, its longest part {longest} (4,095 and 255 are the usual limits)"
    words = {
        errno.EROFS: "it is on a read-only file system",
        errno.ELOOP: "its symbolic links lead in a circle",
        errno.ENOENT: "no such file or folder",
        errno.ENOTDIR: "a part of the path is not a folder",
        errno.EISDIR: "it is a folder",
        errno.EBUSY: "it is in use as a mount point, and cannot be replaced",
    }
    return words.get(error.errno or 0) or error.strerror or str(error)


def _no_room(error: OSError, path: Path, needed: int | None) -> str:
    wanted = "" if needed is None else f", {needed:,} needed"
    reason = "the disk quota is used up" if error.errno == errno.EDQUOT else "no space left"
    for folder in (path, *path.parents):
        with suppress(OSError):
            room = os.statvfs(folder)
            inodes = ", no inodes free" if room.f_files and not room.f_favail else ""
            return f"{reason} ({room.f_bavail * room.f_frsize:,} bytes free{wanted}{inodes})"
    return reason
