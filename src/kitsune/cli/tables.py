"""Plain tables: aligned columns without frames, made for eyes and for `grep`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.cells import cell_len
from rich.text import Text

from kitsune.cli.console import print_line, safe, stdout_console
from kitsune.models.durations import format_duration

#: A cell: text, or text with a style.
Cell = str | tuple[str, str]


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    title: str
    right: bool = False


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
    """Print a table to stdout; no cell is ever cut, because people copy from it."""
    console = stdout_console()
    for line in table_lines(columns, rows):
        print_line(console, line)


def table_lines(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[Text]:
    """Return a header and a line for each row; every text passes `safe`."""
    header: list[Cell] = [(column.title, "bold") for column in columns]
    cells = [[_safe(cell) for cell in row] for row in [header, *rows]]
    widths = [max(cell_len(row[at][0]) for row in cells) for at in range(len(columns))]
    return [_line(row, columns, widths) for row in cells]


def ago(moment: datetime, now: datetime) -> str:
    """Return `12s ago`, `4m ago`, `3h ago` or `2d ago`."""
    seconds = max(0, int((now - moment).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit} ago"
    return f"{format_duration(timedelta(seconds=seconds))} ago"


def _safe(cell: Cell) -> tuple[str, str]:
    text, style = (cell, "") if isinstance(cell, str) else cell
    return safe(text) or "-", style


def _line(row: Sequence[tuple[str, str]], columns: Sequence[Column], widths: Sequence[int]) -> Text:
    line = Text()
    for at, (text, style) in enumerate(row):
        padding = " " * (widths[at] - cell_len(text))
        last = at == len(columns) - 1
        if columns[at].right:
            line.append(padding)
        line.append(text, style=style)
        if not last:
            line.append(("" if columns[at].right else padding) + "  ")
    return line
