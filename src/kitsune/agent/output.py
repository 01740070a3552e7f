"""Keeps what a program prints: all of it on disk up to a cap, its head and tail in memory."""

import codecs
import os
from collections.abc import Callable
from pathlib import Path
from typing import Self

from kitsune.models.results import OutputTail

#: Bytes of one stream that go to disk; what comes later is only counted.
SPOOL_CAP = 64 * 1024 * 1024
#: Bytes that are kept in memory for `last`, however small the limit of the result is.
_LEAST_TAIL = 4096
#: Room for the line that says how much was left out.
_MARK_BYTES = 64
_LONGEST_UTF8 = 4
#: Bytes that go on with a character.
_CONTINUATION = range(0x80, 0xC0)
#: Stands where the start of a line is missing.
_CUT = "…"


class OutputCapture:
    """One output stream of a program.

    A disk that is full or broken does not stop the program: spooling ends, and `spool_error` says so.

    Attributes:
        size: Bytes that have come so far.
        spool_error: Why the file on disk is not whole, or None.
    """

    def __init__(self, path: Path, *, limit: int, cap: int = SPOOL_CAP) -> None:
        """Start a capture, and its file on disk anew.

        Args:
            path: The file.
            limit: Bytes of text, as UTF-8, that the result may hold.
            cap: Bytes that the file may have.
        """
        self.size = 0
        self.spool_error: str | None = None
        self._path = path
        self._limit = limit
        self._room = cap
        self._keep = max(limit, _LEAST_TAIL)
        self._head = bytearray()
        self._tail = bytearray()
        self._file: int | None = None
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._file = os.open(path, flags, 0o600)
        except OSError as error:
            self._give_up_spool(error)

    def feed(self, chunk: bytes) -> None:
        """Take what the program has printed."""
        if self.size < self._limit:
            self._head += chunk[: self._limit - self.size]
        self.size += len(chunk)
        self._tail += chunk[-self._keep :]
        if len(self._tail) > 2 * self._keep:
            del self._tail[: -self._keep]
        self._spool(chunk)

    def close(self) -> None:
        """Close the file on disk; what was kept stays readable."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

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

    def _end(self, size: int) -> tuple[str, bool]:
        """Return the end of the stream, and whether it starts within a line."""
        kept = bytes(self._tail[-self._keep :]).rstrip()
        text, used = _fit_end(kept, size)
        start = len(kept) - used
        return text, start > 0 and kept[start - 1] not in b"\r\n"

    def _spool(self, chunk: bytes) -> None:
        if self._file is None or not self._room:
            return
        rest = memoryview(chunk)[: self._room]
        self._room -= len(rest)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            self._give_up_spool(error)

    def _give_up_spool(self, error: OSError) -> None:
        self.spool_error = f"{self._path.name} is not whole: {error.strerror}"
        self.close()


class OutputStreams:
    """Both output streams of a program, under the names `stdout.log` and `stderr.log` in a folder.

    Closes the files when used as a context manager; what was kept stays readable.
    """

    def __init__(self, folder: Path, *, limit: int) -> None:
        """Start both captures; `limit` is for each of them."""
        self.stdout = OutputCapture(folder / "stdout.log", limit=limit)
        self.stderr = OutputCapture(folder / "stderr.log", limit=limit)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.stderr.close()

    @property
    def size(self) -> int:
        """Bytes that have come so far on both."""
        return self.stdout.size + self.stderr.size

    @property
    def spool_error(self) -> str | None:
        """Why the files on disk are not whole, or None."""
        errors = [stream.spool_error for stream in (self.stdout, self.stderr) if stream.spool_error]
        return "; ".join(errors) or None


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
