"""Looks at files and replaces them whole: a reader sees the old one or the new one, never a part."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from kitsune.agent.disk import CHUNK, sync_folder, write_all
from kitsune.agent.failpoints import failpoint
from kitsune.agent.threads import Stop
from kitsune.agent.traits import FileTraits, give_traits
from kitsune.errors import StepFailed

_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISCHR, "a character device"),
)


@contextmanager
def open_folder(path: Path) -> Iterator[int]:
    """Open a folder: what is done through the descriptor stays in it, whatever happens to its path.

    Raises:
        OSError: It is not there, no folder, or not for us.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def open_regular(folder: int, path: Path) -> Iterator[FileIO | None]:
    """Open the file of `path`'s name in a folder, or yield None where there is nothing.

    Raises:
        StepFailed: It is anything but a regular file; a pipe or a device is not even opened.
        OSError: It cannot be opened.
    """
    try:
        found = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        yield None
        return
    _check_regular(found.st_mode, path)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path.name, flags, dir_fd=folder)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        _check_regular(os.fstat(descriptor).st_mode, path)  # it may have been swapped meanwhile
        yield file


def replace_file(
    folder: int,
    path: Path,
    *,
    temporary: str,
    traits: FileTraits,
    fill: Callable[[int], None],
    stop: Stop,
) -> None:
    """Put a file in the place of `path`'s name in a folder, at once and for good.

    Args:
        folder: Descriptor of the folder.
        path: The whole path; its last part is the name, the rest is for messages.
        temporary: Name of the file while it is written; what a killed agent left under it is removed.
        traits: What the file becomes, before anybody can see it.
        fill: Writes the bytes to a descriptor.
        stop: Checked before the file takes its place.

    Raises:
        OSError: The disk refused; the old file is as it was, and no temporary file is left.
        StepFailed: The file system does not take the mode.
    """
    remove_file(folder, temporary)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
    try:
        try:
            fill(descriptor)
            give_traits(descriptor, path, traits)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        failpoint("file.after_temp")
        stop.check()
        os.rename(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        failpoint("file.after_rename")
    except BaseException:
        with suppress(OSError):
            remove_file(folder, temporary)
        raise
    sync_folder(folder)


def remove_file(folder: int, name: str) -> bool:
    """Remove a file from a folder; return False where there was none."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def temporary_name(operation_id: str) -> str:
    """Return the temporary name for an operation, the same each time: its next run finds what a killed one left."""
    return f".kitsune-{hashlib.sha256(operation_id.encode()).hexdigest()[:16]}.new"


def has_content(file: FileIO, content: bytes) -> bool:
    """Say whether an open file holds exactly these bytes."""
    if os.fstat(file.fileno()).st_size != len(content):
        return False
    file.seek(0)
    expected = memoryview(content)
    while chunk := file.read(CHUNK):
        if expected[: len(chunk)] != chunk:
            return False
        expected = expected[len(chunk) :]
    return not expected


def sha256_of(file: FileIO) -> str:
    """Return the sha256 of an open file, from its first byte on."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def copy_content(source: FileIO, descriptor: int, *, stop: Stop) -> None:
    """Write all bytes of an open file to a descriptor."""
    source.seek(0)
    while chunk := source.read(CHUNK):
        stop.check()
        write_all(descriptor, chunk)


def _check_regular(mode: int, path: Path) -> None:
    if stat.S_ISREG(mode):
        return
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "of an unknown kind")
    raise StepFailed(f"{str(path)!r} is {kind}, not a regular file", permanent=True)
