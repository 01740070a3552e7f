"""Plain tables: aligned columns without frames, made for eyes and for `grep`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.cells import cell_len
from rich.text import Text

from kitsune.cli.console import print_line, safe, stdout_console, terminal_width, wrapped
from kitsune.models.durations import format_duration

_GAP = 2
#: Columns by which the rest of a row is indented on a terminal that is too narrow for it.
_INDENT = 4
#: So many columns are enough to break a cell between its words, rather than to move it below.
_LEAST_FOR_WORDS = 24

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
    for line in table_lines(columns, rows, width=terminal_width(console)):
        print_line(console, line)


def table_lines(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, width: int | None = None
) -> list[Text]:
    """Return the lines of a table, as `table_rows` does, one after the other."""
    return [line for row in table_rows(columns, rows, width=width) for line in row]


def table_rows(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, width: int | None = None
) -> list[list[Text]]:
    """Return the lines of a header and of each row; every text passes `safe`.

    Args:
        columns: The columns.
        rows: A cell for each column.
        width: Columns of the terminal: a row that is longer goes on below, indented, and breaks between cells and
            words. None: a row is one line, however long.
    """
    header: list[Cell] = [(column.title, "bold") for column in columns]
    cells = [[_safe(cell) for cell in row] for row in [header, *rows]]
    widths = [max(cell_len(row[at][0]) for row in cells) for at in range(len(columns))]
    groups = _groups(widths, width)
    return [
        [line for group in groups for line in _lines(row, columns, widths, group, width=width)]
        for row in cells
    ]


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


def _groups(widths: Sequence[int], width: int | None) -> list[range]:
    """Return which columns stand in one line; the last one may take what is left, where that is enough for words."""
    groups, first, used = [], 0, 0
    for at, wanted in enumerate(widths):
        gap = _GAP if at > first else 0
        last = at == len(widths) - 1
        fits = width is None or used + gap + wanted <= width
        if not fits and gap and not (last and width and width - used - gap >= _LEAST_FOR_WORDS):
            groups.append(range(first, at))
            first, used = at, _INDENT + wanted
        else:
            used += gap + wanted
    return [*groups, range(first, len(widths))]


def _lines(
    row: Sequence[tuple[str, str]],
    columns: Sequence[Column],
    widths: Sequence[int],
    group: range,
    *,
    width: int | None,
) -> list[Text]:
    """Return the cells of a group side by side; only the last one may need further lines, below itself."""
    line = Text(" " * _INDENT if group.start else "")
    for at in group[:-1]:
        text, style = row[at]
        padding = " " * (widths[at] - cell_len(text))
        line.append(padding if columns[at].right else "").append(text, style=style)
        line.append(("" if columns[at].right else padding) + " " * _GAP)
    text, style = row[group[-1]]
    if columns[group[-1]].right:
        line.append(" " * (widths[group[-1]] - cell_len(text)))
    hang = line.cell_len
    return wrapped(line.append(text, style=style), width, hang=hang)
