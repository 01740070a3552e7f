"""Finds and reads the output that steps have left in the state folder; blocks, and changes nothing.

Only files that a shim has written are opened, below the folder of an operation that is in the journal, and no
symbolic link is followed on the way.
"""

import contextlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kitsune.agent.reboots import AGAIN_FOLDER
from kitsune.agent.shim import EXIT_FILE

#: Digits before the tail of a stream and the line end after them.
_COUNT_BYTES = 21
#: A script may ask for so many restarts and more: nobody nests deeper.
_DEEPEST = 32
_RECORD_BYTES = 16 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class _Piece:
    """Bytes of a stream that lie in one file.

    Attributes:
        start: Where in the stream they begin.
        length: How many there are.
        at: Where in the file they begin.
    """

    folders: tuple[str, ...]
    name: str
    start: int
    length: int
    at: int

    @property
    def end(self) -> int:
        return self.start + self.length


@dataclass(frozen=True)
class Chunk:
    """A part of a stream: where it starts, its bytes, and how many before it are not kept."""

    offset: int
    data: bytes
    skipped: int


class OutputLog:
    """One output stream of one execution, as far as it is kept.

    A script that has the host restarted runs several times in one execution: what it printed each time follows upon
    the other.

    Attributes:
        size: Bytes of the whole stream so far.
    """

    def __init__(self, root: Path, pieces: Sequence[_Piece], size: int) -> None:
        self._root, self._pieces, self.size = root, tuple(pieces), size

    def read(self, offset: int, limit: int) -> Chunk:
        """Return up to `limit` bytes from `offset` on; below zero: from so many bytes before the end."""
        wanted = max(0, self.size + offset) if offset < 0 else min(offset, self.size)
        kept = [piece for piece in self._pieces if piece.end > wanted]
        start = max(wanted, kept[0].start) if kept else self.size
        data = bytearray()
        for piece in kept:
            here = start + len(data)
            if piece.start <= here < piece.end and len(data) < limit:
                data += self._bytes(
                    piece, here - piece.start, min(limit - len(data), piece.end - here)
                )
        return Chunk(start, bytes(data), start - wanted)

    def _bytes(self, piece: _Piece, skip: int, count: int) -> bytes:
        with _opened(self._root, piece.folders, piece.name) as file:
            return b"" if file is None else os.pread(file, count, piece.at + skip)


def find_output(operations: Path, operation_id: str, attempt: int, stream: str) -> OutputLog | None:
    """Return a stream of an execution; None where it has kept none.

    Args:
        operations: The folder in which each operation has its own.
        operation_id: An operation of the journal.
        attempt: Which execution, from 1.
        stream: `stdout` or `stderr`.
    """
    if stream not in ("stdout", "stderr"):
        raise ValueError(f"no such stream: {stream!r} (stdout or stderr)")
    pieces: list[_Piece] = []
    size, kept = 0, False
    folders: tuple[str, ...] = (operation_id, str(int(attempt)))
    for _ in range(_DEEPEST):
        if not _is_folder(operations, folders):
            break
        run = list(_run_pieces(operations, folders, stream, begin=size))
        kept = kept or bool(run)
        pieces += [piece for piece in run if piece.length]
        size = max(
            [size + _recorded_size(operations, folders, stream), *(piece.end for piece in run)]
        )
        folders = (*folders, AGAIN_FOLDER)
    return OutputLog(operations, pieces, size) if kept else None


def _recorded_size(root: Path, folders: tuple[str, ...], stream: str) -> int:
    """Return what the shim says that a program has printed: more than is kept where the disk was full."""
    with _opened(root, folders, EXIT_FILE) as file:
        try:
            record = json.loads(os.pread(file, _RECORD_BYTES, 0)) if file is not None else {}
            return int(record.get(stream) or 0)
        except (ValueError, AttributeError, TypeError):
            return 0


def _run_pieces(
    root: Path, folders: tuple[str, ...], stream: str, *, begin: int
) -> Iterator[_Piece]:
    """Yield the pieces of one run of a program: its first bytes, and beyond the cap its last ones."""
    whole = 0
    with _opened(root, folders, f"{stream}.log") as file:
        if file is not None:
            whole = os.fstat(file).st_size
            yield _Piece(folders, f"{stream}.log", begin, whole, 0)
    with _opened(root, folders, f"{stream}.tail") as file:
        head = b"" if file is None else os.pread(file, _COUNT_BYTES, 0)
        if file is None or len(head) < _COUNT_BYTES or not head[:-1].isdigit():
            return  # not there, or being written just now
        length = os.fstat(file).st_size - _COUNT_BYTES
    start = int(head) - length
    overlap = max(0, whole - start)
    if overlap < length:
        name = f"{stream}.tail"
        yield _Piece(
            folders, name, begin + start + overlap, length - overlap, _COUNT_BYTES + overlap
        )


@contextlib.contextmanager
def _opened(root: Path, folders: Sequence[str], name: str) -> Iterator[int | None]:
    """Open a regular file below a folder, following no link; None where there is none."""
    with contextlib.ExitStack() as stack:
        try:
            place = os.open(root, _FOLDER)
            stack.callback(os.close, place)
            for folder in folders:
                place = os.open(folder, _FOLDER, dir_fd=place)
                stack.callback(os.close, place)
            file = os.open(name, _FILE, dir_fd=place)
            stack.callback(os.close, file)
            regular = stat.S_ISREG(os.fstat(file).st_mode)
        except OSError:
            regular = False
        yield file if regular else None


def _is_folder(root: Path, folders: Sequence[str]) -> bool:
    try:
        return stat.S_ISDIR(root.joinpath(*folders).lstat().st_mode)
    except OSError:
        return False
