"""Tables in Markdown that line up, and the places in the docs that they fill."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.record import Entry

Row = Sequence[str]
#: Seconds below which figures get one more digit.
_FINE, _SHORT = 0.01, 10


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return a table whose columns line up; all but the first are aligned to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(row, widths) for row in (head, rule, *rows))


def _line(row: Row, widths: Sequence[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    cells = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
    return "| " + " | ".join(cells) + " |"


def middle(entries: Sequence[Entry], *path: str) -> float | None:
    """Return the median of a figure, found by its keys; None where no entry has it."""
    found = [value for entry in entries if (value := figure(entry, *path)) is not None]
    return median(found) if found else None


def figure(entry: Any, *path: str) -> Any:
    """Return a figure of an entry, found by its keys; None where it has none."""
    for key in path:
        entry = entry.get(key) if isinstance(entry, dict) else None
    return entry


def quantile(values: Sequence[float], share: float) -> float:
    """Return the least of the values that at least this share of them does not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def seconds(value: float | None) -> str:
    """Return seconds with about three figures."""
    return "" if value is None else f"{number(value, 2 if value < _SHORT else 1)} s"


def milliseconds(value: float | None) -> str:
    """Return seconds as milliseconds."""
    if value is None:
        return ""
    return f"{number(value * 1000, 1 if value < _FINE else 0)} ms"


def number(value: float | None, digits: int = 0) -> str:
    """Return a plain number."""
    return "" if value is None else f"{round(value, digits) + 0.0:,.{digits}f}"  # and no -0.0


def spread(values: Sequence[float]) -> str:
    """Return the smallest and the largest."""
    return f"{min(values):.2f} to {max(values):.2f}"


def fill(page: Path, name: str, text: str) -> None:
    """Put a table into its place in a page, between `<!-- name -->` and `<!-- /name -->`.

    Raises:
        ValueError: The page has no such place.
    """
    place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    before = page.read_text()
    if not place.search(before):
        raise ValueError(f"{page} has no place <!-- {name} --> ... <!-- /{name} -->")
    page.write_text(place.sub(lambda found: f"{found[1]}{text.strip()}\n{found[2]}", before))
