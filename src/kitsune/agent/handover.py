"""Hands texts over to a program: as a file that its interpreter reads, or as its standard input."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from kitsune.agent.launch import Account
from kitsune.errors import StepFailed


@contextmanager
def script_file(
    folder: Path, text: str, *, account: Account | None
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Write a text to a file of mode 0500, which whoever started the program removes when that has ended.

    Args:
        folder: Where; nobody else may look into it.
        text: The text.
        account: Who reads it. Another user than the agent's cannot enter `folder`: the file is then handed over
            as an open file descriptor, and its path goes through `/proc`.

    Yields:
        The path for the interpreter, and the file descriptors that it needs.

    Raises:
        StepFailed: It cannot be written.
    """
    path = text_path(folder)
    _write(path, text)
    if account is None or account.is_own:
        yield str(path), ()
        return
    os.chown(path, account.uid, account.gid)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}", (descriptor,)
    finally:
        os.close(descriptor)


def text_path(folder: Path) -> Path:
    """Return where `script_file` keeps a text."""
    return folder.absolute() / "inline"


@contextmanager
def input_file(folder: Path, text: str) -> Iterator[int]:
    """Keep a text in a file without a name until the block ends, and yield its file descriptor.

    Raises:
        StepFailed: It cannot be written.
    """
    with TemporaryFile(dir=folder) as file:
        try:
            file.write(text.encode())
            file.seek(0)
        except OSError as error:
            raise _unwritable("stdin", folder, error) from error
        yield file.fileno()


def _write(path: Path, text: str) -> None:
    try:
        path.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o500), "wb") as file:
            file.write(text.encode())
    except OSError as error:
        raise _unwritable("inline text", path.parent, error) from error


def _unwritable(what: str, folder: Path, error: OSError) -> StepFailed:
    return StepFailed(f"cannot keep the {what} in {str(folder)!r}: {error.strerror}")
