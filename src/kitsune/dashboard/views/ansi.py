"""What a program has printed, as text with colours: only colours and weights are obeyed, everything else is shown or dropped."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from kitsune.models.printable import safe

#: CSI sequences, OSC sequences (titles, links) with either end, and other escapes.
_ESCAPE = re.compile(
    r"\x1b\[([0-9;:]*)m"
    r"|\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b[()*+][0-9A-Za-z]"
    r"|\x1b[=>78cDEHMNOZ]"
)
_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_CUBE, _GREYS = range(16, 232), range(232, 256)
_BRIGHT_FROM = 8
_MIDDLE = 128


@dataclass(frozen=True)
class _Style:
    fore: str = ""
    back: str = ""
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False

    @property
    def classes(self) -> str:
        flags = (
            ("a-b", self.bold),
            ("a-d", self.dim),
            ("a-i", self.italic),
            ("a-u", self.underline),
        )
        names = [f"a-f-{self.fore}" if self.fore else "", f"a-k-{self.back}" if self.back else ""]
        return " ".join([name for name in names if name] + [name for name, on in flags if on])


@dataclass(frozen=True)
class Span:
    """A piece of a line.

    Attributes:
        text: As it is shown: nothing in it can move a cursor or hide something.
        classes: Of the style sheet; empty for plain text.
    """

    text: str
    classes: str = ""


def lines_of(text: str) -> list[tuple[Span, ...]]:
    r"""Return printed text line by line, each in pieces of one colour.

    A carriage return within a line overwrites it, as on a terminal: what stood before is dropped.
    """
    style, lines = _Style(), []
    for line in text.replace("\r\n", "\n").removesuffix("\n").split("\n"):
        # Progress bars redraw one line over and over; only the last drawing is worth a line.
        *over, last = line.rstrip("\r").split("\r")
        for dropped in over:
            _, style = _spans(dropped, style)
        spans, style = _spans(last, style)
        lines.append(spans)
    return lines if text else []


def plain(text: str) -> str:
    """Return printed text without its colours, safe to show."""
    return "\n".join("".join(span.text for span in line) for line in lines_of(text))


def _spans(line: str, style: _Style) -> tuple[tuple[Span, ...], _Style]:
    spans: list[Span] = []
    at = 0
    for found in _ESCAPE.finditer(line):
        _add(spans, line[at : found.start()], style)
        at = found.end()
        if found[1] is not None:
            style = _next(style, found[1])
    _add(spans, line[at:], style)
    return tuple(spans), style


def _add(spans: list[Span], text: str, style: _Style) -> None:
    if not text:
        return
    shown = safe(text.expandtabs(8))
    classes = style.classes
    if spans and spans[-1].classes == classes:
        spans[-1] = Span(spans[-1].text + shown, classes)
    else:
        spans.append(Span(shown, classes))


def _next(style: _Style, codes: str) -> _Style:
    numbers = [int(code[:4]) if code else 0 for code in codes.replace(":", ";").split(";")]
    at = 0
    while at < len(numbers):
        code = numbers[at]
        if code in (38, 48):  # an extended colour: 5;N or 2;R;G;B
            used, colour = _extended(numbers[at + 1 :])
            style = replace(style, fore=colour) if code == 38 else replace(style, back=colour)  # noqa: PLR2004 - SGR
            at += used
        else:
            style = _simple(style, code)
        at += 1
    return style


def _simple(style: _Style, code: int) -> _Style:
    if code == 0:
        return _Style()
    if code in _SET:
        return _SET[code](style)
    for base, bright in ((30, ""), (90, "bright-")):
        if base <= code < base + len(_COLOURS):
            return replace(style, fore=bright + _COLOURS[code - base])
        if base + 10 <= code < base + 10 + len(_COLOURS):
            return replace(style, back=bright + _COLOURS[code - base - 10])
    return style


_SET: Mapping[int, Callable[[_Style], _Style]] = {
    1: lambda style: replace(style, bold=True),
    2: lambda style: replace(style, dim=True),
    3: lambda style: replace(style, italic=True),
    4: lambda style: replace(style, underline=True),
    22: lambda style: replace(style, bold=False, dim=False),
    23: lambda style: replace(style, italic=False),
    24: lambda style: replace(style, underline=False),
    39: lambda style: replace(style, fore=""),
    49: lambda style: replace(style, back=""),
}


def _extended(rest: list[int]) -> tuple[int, str]:
    """Return how many numbers an extended colour takes, and the nearest of the sixteen."""
    if rest[:1] == [5] and len(rest) > 1:
        return 2, _of_palette(rest[1])
    if rest[:1] == [2] and len(rest) > 3:  # noqa: PLR2004 - red, green and blue follow
        return 4, _nearest(rest[1], rest[2], rest[3])
    return len(rest), ""


def _of_palette(number: int) -> str:
    if number < _BRIGHT_FROM:
        return _COLOURS[number]
    if number < _CUBE.start:
        return "bright-" + _COLOURS[number - _BRIGHT_FROM]
    if number in _CUBE:
        red, rest = divmod(number - _CUBE.start, 36)
        green, blue = divmod(rest, 6)
        return _nearest(red * 51, green * 51, blue * 51)
    level = (min(number, _GREYS.stop - 1) - _GREYS.start) * 10 + 8
    return _nearest(level, level, level)


def _nearest(red: int, green: int, blue: int) -> str:
    top = max(red, green, blue)
    if top < _MIDDLE // 2:
        return "bright-black" if top > _MIDDLE // 4 else "black"
    index = sum(bit for bit, level in ((1, red), (2, green), (4, blue)) if level * 2 > top)
    return _COLOURS[index] if top < _MIDDLE * 3 // 2 else f"bright-{_COLOURS[index]}"
