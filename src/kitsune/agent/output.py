"""Reads what a program has printed from the files that its shim writes: the head and the tail."""

import codecs
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kitsune.models.results import OutputTail

#: Digits before the tail of a stream and the line end after them.
_COUNT_BYTES = 21
#: Bytes that are kept in memory for `last`, however small the limit of the result is.
_LEAST_TAIL = 4096
#: Room for the line that says how much was left out.
_MARK_BYTES = 64
_LONGEST_UTF8 = 4
#: Bytes that go on with a character.
_CONTINUATION = range(0x80, 0xC0)
#: Stands where the start of a line is missing.
_CUT = "…"


class Output:
    """One output stream of a program, as far as it is on disk.

    Attributes:
        size: Bytes that have come so far.
    """

    def __init__(self, head: bytes, tail: bytes, *, size: int, limit: int) -> None:
        """Take what was read: the first and last bytes of the stream, and its size."""
        self.size = size
        self._limit = limit
        self._keep = max(limit, _LEAST_TAIL)
        self._head, self._tail = head, tail

    @classmethod
    def read(cls, folder: Path, name: str, *, limit: int, size: int | None = None) -> "Output":
        """Read a stream that a shim writes, or has written, to a folder.

        Args:
            folder: The execution's.
            name: `stdout` or `stderr`.
            limit: Bytes of text, as UTF-8, that the result may hold.
            size: Bytes of the whole stream, where its end is on record.
        """
        keep = max(limit, _LEAST_TAIL)
        head, tail, found = _read_ends(folder / f"{name}.log", limit, keep)
        later = _read(folder / f"{name}.tail")
        if b"\n" in later[:_COUNT_BYTES]:
            count, _, end = later.partition(b"\n")
            begin = int(count) - len(end)
            if begin <= found < begin + len(end):  # the file broke off, and the rest is whole
                head += end[found - begin :][: max(0, limit - len(head))]
                tail += end[found - begin :]
            else:
                tail = end
            found = int(count)
        return cls(head, tail[-keep:], size=found if size is None else size, limit=limit)

    def text(self) -> OutputTail:
        """Return what belongs into the result: everything, or the head and the tail."""
        if self.size <= self._limit:
            text = self._head.decode(errors="replace")
            if len(text.encode()) <= self._limit:
                return OutputTail(text=text, bytes=self.size)
        room = max(0, self._limit - _MARK_BYTES)
        head, head_bytes = _fit_start(bytes(self._head), room // 2)
        later = min(len(self._tail), self.size - head_bytes)
        tail, tail_bytes = _fit_end(bytes(self._tail[len(self._tail) - later :]), room - room // 2)
        mark = f"… {self.size - head_bytes - tail_bytes:,} bytes left out …"
        text = "\n".join(part for part in (head.removesuffix("\n"), mark, tail) if part)
        fits = len(text.encode()) <= self._limit
        return OutputTail(text=text if fits else "", bytes=self.size, truncated=True)

    def last(self, size: int) -> str:
        """Return the end of the stream: at most `size` bytes as UTF-8, without blanks around it."""
        return self._end(size)[0].strip()

    def last_lines(self, count: int, *, size: int) -> str:
        """Return the last lines that are not blank, as many as fit into `size` bytes of UTF-8.

        A line that is too long alone is cut at its start.
        """
        text, cut = self._end(size - len(_CUT.encode()))
        lines = text.splitlines()
        if cut and len(lines) > 1:
            del lines[0]
        elif cut:
            lines = [_CUT + text]
        return "\n".join([line for line in lines if line.strip()][-count:])

    def last_line(self, size: int = 300) -> str:
        """Return the last line that is not blank, or the end of it."""
        return self.last_lines(1, size=size)

    def tail(self, size: int) -> dict[str, Any]:
        """Return the last `size` bytes as they are, as text, and where in the stream they end."""
        kept = bytes(self._tail[-self._keep :])
        return {"text": _fit_end(kept, size)[0], "end": self.size}

    def _end(self, size: int) -> tuple[str, bool]:
        """Return the end of the stream, and whether it starts within a line."""
        kept = bytes(self._tail[-self._keep :]).rstrip()
        text, used = _fit_end(kept, size)
        start = len(kept) - used
        return text, start > 0 and kept[start - 1] not in b"\r\n"


@dataclass(frozen=True)
class OutputStreams:
    """Both output streams of a program."""

    stdout: Output
    stderr: Output
    spool_error: str | None = None

    @classmethod
    def read(
        cls, folder: Path, *, limit: int, record: Mapping[str, Any] | None = None
    ) -> "OutputStreams":
        """Read both from a folder; `limit` is for each, `record` what the shim has recorded at the end."""
        ended = record or {}
        return cls(
            Output.read(folder, "stdout", limit=limit, size=ended.get("stdout")),
            Output.read(folder, "stderr", limit=limit, size=ended.get("stderr")),
            ended.get("spoolError"),
        )

    @property
    def size(self) -> int:
        """Bytes that have come so far on both."""
        return self.stdout.size + self.stderr.size


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _read_ends(path: Path, first: int, last: int) -> tuple[bytes, bytes, int]:
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return b"", b"", 0
            head = file.read(first)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - last))
            return head, file.read(last), size
    except OSError:
        return b"", b"", 0


def _fit_start(data: bytes, room: int) -> tuple[str, int]:
    """Return the start of `data` that fits into `room` bytes of UTF-8, and how many bytes it took."""
    return _widest(data, room, _decode_start)


def _fit_end(data: bytes, room: int) -> tuple[str, int]:
    """Return the end of `data` that fits into `room` bytes of UTF-8, and how many bytes it took."""
    return _widest(data, room, _decode_end)


def _widest(
    data: bytes, room: int, decode: Callable[[bytes, int], tuple[str, int]]
) -> tuple[str, int]:
    # Text mostly fits at once; a byte that is no UTF-8 becomes three, so then the count is searched for.
    low, high = 0, min(len(data), room)
    best, count = ("", 0), high
    while low <= high:
        text, used = decode(data, count)
        if len(text.encode()) <= room:
            best, low = (text, used), count + 1
        else:
            high = count - 1
        count = (low + high) // 2
    return best


def _decode_start(data: bytes, count: int) -> tuple[str, int]:
    """Decode the first `count` bytes without a character that the cut goes through."""
    return codecs.utf_8_decode(data[:count], "replace", count == len(data))


def _decode_end(data: bytes, count: int) -> tuple[str, int]:
    """Decode the last `count` bytes without a character that the cut goes through."""
    start = len(data) - count
    furthest = min(start + _LONGEST_UTF8 - 1, len(data))
    while 0 < start < furthest and data[start] in _CONTINUATION:
        start += 1
    return data[start:].decode(errors="replace"), len(data) - start
