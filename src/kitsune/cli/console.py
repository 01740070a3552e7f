"""Consoles: the one place that decides about colour, width, glyphs and what may reach a terminal.

Whatever comes from a plan, a server or Temporal passes `safe` (or `data_text`) before it is printed:
control characters would let a step's output redraw an operator's terminal.
The consoles never interpret markup or emoji codes, so data such as `[red]` or `:tada:` stays as it is.
(Rich still reads markup in a `Panel` title that is a `str`: give it a `Text`.)
"""

import json
import os
import re
import sys
from dataclasses import dataclass
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from kitsune.models.printable import safe

__all__ = [
    "WIDTH_OFF_TERMINAL",
    "Glyphs",
    "data_text",
    "glyphs",
    "print_json",
    "print_line",
    "print_words",
    "safe",
    "stderr_console",
    "stdout_console",
    "terminal_width",
    "wrapped",
]

#: Columns where there is no terminal to ask.
WIDTH_OFF_TERMINAL = 100


@dataclass(frozen=True)
class Glyphs:
    """The signs that we draw; in plain ASCII where the stream's encoding has no better ones."""

    ok: str = "✔"
    failed: str = "✖"
    running: str = "◌"
    waiting: str = "◷"
    warning: str = "⚠"
    unknown: str = "?"
    pending: str = "·"
    undone: str = "↩"
    arrow: str = "→"
    ellipsis: str = "…"
    full: str = "█"
    partial: str = "▓"
    empty: str = "░"
    branch: str = "├"
    last: str = "└"


_ASCII = Glyphs(
    ok="+",
    failed="x",
    running="o",
    waiting="~",
    warning="!",
    unknown="?",
    pending=".",
    undone="<",
    arrow="->",
    ellipsis="...",
    full="#",
    partial="=",
    empty="-",
    branch="|",
    last="`",
)


def stdout_console() -> Console:
    """Return the console for data."""
    return _console(sys.stdout, stderr=False)


def stderr_console() -> Console:
    """Return the console for talk: progress, questions, problems."""
    return _console(sys.stderr, stderr=True)


def glyphs(console: Console) -> Glyphs:
    """Return the signs that this console's stream can write."""
    best = Glyphs()
    try:
        "".join(vars(best).values()).encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return _ASCII
    return best


def data_text(text: str, style: str = "", *, lines: bool = False) -> Text:
    """Return a renderable for data: safe, without markup."""
    return Text(safe(text, lines=lines), style=style)


def print_line(console: Console, text: str | Text = "", *, style: str = "") -> None:
    """Print one line as it is, never wrapped or cut: what people grep, copy and click on.

    A `str` passes `safe`; a `Text` was made by `data_text` or by us.
    """
    shown = data_text(text, style) if isinstance(text, str) else text
    console.print(shown, soft_wrap=True)


def terminal_width(console: Console) -> int | None:
    """Return the columns of a terminal; None where there is none, and lines are as long as they are."""
    return console.width if console.is_terminal else None


def wrapped(text: Text, width: int | None, *, hang: int) -> list[Text]:
    """Return a text in rows that break between words; a word that is too long for any row stays whole.

    Args:
        text: One line.
        width: Columns of a row; None: as many as it takes.
        hang: Columns by which the further rows are indented.
    """
    if width is None or text.cell_len <= width:
        return [text]
    breaks, column = [], 0
    for found in re.finditer(r"\s*\S+", text.plain):
        word = found[0].lstrip()
        if column and column + cell_len(found[0]) > width:
            breaks.append(found.end() - len(word))
            column = hang + cell_len(word)
        else:
            column += cell_len(found[0])
    first, *further = text.divide(breaks)
    rows = [first, *(Text(" " * hang).append_text(row) for row in further)]
    for row in rows:
        row.rstrip()
    return rows


def print_words(console: Console, text: str | Text) -> None:
    """Print a sentence; a terminal that is too narrow breaks it between words. Commands stay whole, to be copied."""
    shown = data_text(text) if isinstance(text, str) else text
    indent = len(shown.plain) - len(shown.plain.lstrip())
    width = None if shown.plain.startswith("$ ", indent) else terminal_width(console)
    for row in wrapped(shown, width, hang=indent + 2):
        print_line(console, row)


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Write JSON and a newline to stdout; in ASCII, so that no terminal obeys it. No indent: one line."""
    sys.stdout.write(json.dumps(value, indent=indent) + "\n")
    sys.stdout.flush()


def _console(stream: TextIO, *, stderr: bool) -> Console:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(
            errors="backslashreplace"
        )  # a name that the locale cannot write must not end us
    terminal = stream.isatty()
    return Console(
        stderr=stderr,
        markup=False,
        emoji=False,
        highlight=False,
        force_terminal=terminal,  # FORCE_COLOR alone must not turn animations on
        force_jupyter=False,
        no_color=True if _colour_unwanted() else None,
        width=None if terminal else WIDTH_OFF_TERMINAL,
    )


def _colour_unwanted() -> bool:
    return any(os.environ.get(name) for name in ("NO_COLOR", "KITSUNE_NO_COLOR"))
