"""The text of a plan file, and where things stand in it."""

import bisect
import errno
import os
import re
import stat
import sys
import unicodedata
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass
from functools import cached_property

from kitsune.errors import PlanUnreadable
from kitsune.models.printable import safe

#: Bytes of a plan file: twice what a plan may have as JSON, to leave room for comments and indentation.
MAX_FILE_BYTES = 2 * 1024 * 1024
#: How a plan is read from standard input.
STDIN = "-"

_LINE_BREAK = re.compile(r"\r\n|\n|\r")
_WIDEST_EXCERPT = 100
_BEFORE_CARET = 70


@dataclass(frozen=True)
class Place:
    """Where something stands, counted from 1, in characters."""

    line: int
    column: int


@dataclass(frozen=True)
class Source:
    """A plan file's text.

    Attributes:
        name: The file as the operator named it; `<stdin>` for standard input.
        text: Its content.
    """

    name: str
    text: str

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in _LINE_BREAK.finditer(self.text))]

    def place(self, offset: int) -> Place:
        """Return line and column of an offset into the text."""
        line = bisect.bisect_right(self._starts, offset)
        return Place(line=line, column=offset - self._starts[line - 1] + 1)

    def excerpt(self, place: Place) -> str:
        """Return a line with a caret under a column, safe to print; a long line is cut around it."""
        start = self._starts[place.line - 1]
        end = self._starts[place.line] if place.line < len(self._starts) else len(self.text)
        line = self.text[start:end].rstrip("\r\n")
        at = place.column - 1
        first = 0 if len(line) <= _WIDEST_EXCERPT else max(0, at - _BEFORE_CARET)
        before = safe(line[first:at], lines=True)
        shown = safe(line[first : first + _WIDEST_EXCERPT], lines=True)
        cut = "..." if first else ""
        more = "..." if first + _WIDEST_EXCERPT < len(line) else ""
        return f"    {cut}{shown}{more}\n    {' ' * (len(cut) + _cells(before))}^"

    def unreadable(self, message: str, offset: int) -> PlanUnreadable:
        """Return the error that says what is wrong with the text itself, and where."""
        place = self.place(min(max(offset, 0), len(self.text)))
        where = f"{safe(self.name)}:{place.line}:{place.column}"
        excerpt = self.excerpt(place)
        shown = f"\n{excerpt}" if excerpt.strip(" \n^") else ""
        return PlanUnreadable(f"{where}: {safe(message)}{shown}")


def read_source(path: str) -> Source:
    """Read a plan file, or standard input for `-`.

    Raises:
        PlanUnreadable: Missing, not a regular file, not permitted, too large, or not UTF-8.
    """
    name = "<stdin>" if path == STDIN else path
    content = _read_stdin() if path == STDIN else _read_file(path)
    if len(content) > MAX_FILE_BYTES:
        raise PlanUnreadable(
            f"{safe(name)}: larger than {MAX_FILE_BYTES:,} bytes: "
            "large content belongs where servers can fetch it"
        )
    return Source(name=name, text=_decode(content, name))


def _read_stdin() -> bytes:
    return sys.stdin.buffer.read(MAX_FILE_BYTES + 1)


def _read_file(path: str) -> bytes:
    try:
        # Without O_NONBLOCK, opening a FIFO that nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _check_kind(path, os.fstat(descriptor).st_mode)
            return _read_whole(descriptor)
        finally:
            os.close(descriptor)
    except ValueError as error:
        raise PlanUnreadable(f"not a file name: {path!r}") from error
    except OSError as error:
        raise PlanUnreadable(safe(f"{path}: {_why(error)}")) from error


def _check_kind(path: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise PlanUnreadable(f"{safe(path)}: a folder: name the plan file within it")
    if not stat.S_ISREG(mode):
        raise PlanUnreadable(
            f"{safe(path)}: not a regular file: write the plan into one, or pipe it to {STDIN!r}"
        )


def _read_whole(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(MAX_FILE_BYTES + 1)


def _why(error: OSError) -> str:
    advice = {
        errno.ENOENT: "check its name, or write '-' for standard input",
        errno.EACCES: "check its mode, or run as its owner",
        errno.ENOTDIR: "check its name",
    }.get(error.errno or 0)
    reason = os.strerror(error.errno or 0).lower()
    return f"{reason}: {advice}" if advice else reason


def _decode(content: bytes, name: str) -> str:
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) or b"\0" in content[:4]:
        raise PlanUnreadable(f"{safe(name)}: looks like UTF-16 or UTF-32: save it as UTF-8")
    content = content.removeprefix(BOM_UTF8)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = 1 + len(re.findall(rb"\r\n|\n|\r", content[: error.start]))
        bad = content[error.start]
        message = f"not UTF-8: byte 0x{bad:02x} in line {line}: save it as UTF-8"
        raise PlanUnreadable(f"{safe(name)}:{line}: {message}") from error


def _cells(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
