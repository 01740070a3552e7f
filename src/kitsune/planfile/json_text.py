"""Reads JSON (RFC 8259), remembering where everything stands, which the standard library does not."""

import re
from json import JSONDecodeError, JSONDecoder
from typing import Any

from kitsune.errors import PlanUnreadable
from kitsune.planfile.builder import Builder
from kitsune.planfile.scalars import integer
from kitsune.planfile.source import Source

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z0-9_.+-]+")
_STRINGS = JSONDecoder()
_CONSTANTS = {"true": True, "false": False, "null": None}


def read_json(source: Source) -> Builder:
    """Read a JSON file.

    Raises:
        PlanUnreadable: Not JSON, or beyond the limits.
    """
    reader = _Reader(source)
    reader.read()
    return reader.builder


class _Reader:
    """Walks over the text once, without recursion; `_at` is where it stands."""

    def __init__(self, source: Source) -> None:
        self.builder = Builder(source)
        self._source = source
        self._text = source.text
        self._at = 0
        self._closers: list[str] = []

    def read(self) -> None:
        """Read the whole text."""
        self._skip_space()
        if self._at == len(self._text):
            raise self._fail("the file is empty: a plan needs servers and steps")
        self._value()
        while self._closers:
            self._next_entry()
        self._skip_space()
        if self._at < len(self._text):
            raise self._fail("text after the end of the plan: one file holds one plan")

    def _next_entry(self) -> None:
        """Read `, entry` or the end of the innermost mapping or list."""
        self._skip_space()
        closer, found = self._closers[-1], self._here
        if found == closer:
            self._close()
        elif found == ",":
            self._at += 1
            self._skip_space()
            if self._here in ("}", "]"):
                raise self._fail("a comma before a closing bracket: JSON has none there")
            self._entry()
        else:
            raise self._fail(f"expected ',' or {closer!r} here")

    def _entry(self) -> None:
        if self._closers[-1] == "}":
            self._skip_space()
            if self._here != '"':
                raise self._fail("expected a key in double quotes here (JSON has no comments)")
            start = self._at
            self.builder.key(self._string(), start)
            self._skip_space()
            if self._here != ":":
                raise self._fail("expected ':' after a key")
            self._at += 1
        self._value()

    def _value(self) -> None:
        self._skip_space()
        start, first = self._at, self._here
        if first == "{":
            self._open({}, "}")
        elif first == "[":
            self._open([], "]")
        elif first == '"':
            self.builder.value(self._string(), start)
        else:
            self.builder.value(self._number_or_word(), start)

    def _open(self, container: dict[str, Any] | list[Any], closer: str) -> None:
        self.builder.open(container, self._at)
        self._closers.append(closer)
        self._at += 1
        self._skip_space()
        if self._here == closer:
            self._close()
        else:
            self._entry()

    def _close(self) -> None:
        self.builder.close()
        self._closers.pop()
        self._at += 1

    def _string(self) -> str:
        try:
            text, self._at = _STRINGS.raw_decode(self._text, self._at)
        except JSONDecodeError as error:
            reason = error.msg.lower().removesuffix(" at")
            raise self._source.unreadable(f"not JSON: {reason}", error.pos) from error
        return str(text)

    def _number_or_word(self) -> Any:
        found = _NUMBER.match(self._text, self._at)
        word = _WORD.match(self._text, self._at)
        written = word[0] if word else self._here
        if found and found[0] == written:
            self._at = found.end()
            return float(written) if found[2] or found[3] else integer(written)
        if written in _CONSTANTS:
            self._at += len(written)
            return _CONSTANTS[written]
        if not written:
            raise self._fail("the file ends where a value should stand")
        raise self._fail(f"not a JSON value: {written[:40]!r} (text stands in double quotes)")

    def _skip_space(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at

    @property
    def _here(self) -> str:
        return self._text[self._at : self._at + 1]

    def _fail(self, message: str) -> PlanUnreadable:
        return self._source.unreadable(message, self._at)
