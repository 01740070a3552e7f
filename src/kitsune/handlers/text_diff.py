"""Unified diffs of texts, bounded in time and size."""

import difflib
import re

#: Lines that differ, beyond which no diff is made: comparing takes the square of them.
_MOST_LINES = 3000
_MOST_BYTES = 32 * 1024
_CONTEXT = 3
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_NO_END = "\\ No newline at end of file"


def unified_diff(before: str, after: str, *, name: str) -> tuple[str, str]:
    """Return the unified diff of two texts without its last line end, and a note where it is not whole."""
    old, new = _LINE.findall(before), _LINE.findall(after)
    start, end = _common(old, new)
    if max(len(old), len(new)) - start - end > _MOST_LINES:
        return "", f"more than {_MOST_LINES:,} lines differ: no diff"
    # Beside the changed part only so much as is shown: the rest is known to be equal.
    first, last = max(0, start - _CONTEXT), max(0, end - _CONTEXT)
    a, b = old[first : len(old) - last], new[first : len(new) - last]
    lines = list(difflib.unified_diff(a, b, name, f"{name} (plan)", n=_CONTEXT))
    return _bounded([_shifted(line, first) for line in lines])


def _common(old: list[str], new: list[str]) -> tuple[int, int]:
    """Return how many lines are equal at the start and at the end."""
    shorter = min(len(old), len(new))
    start = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    left = shorter - start
    end = next((at for at in range(left) if old[-1 - at] != new[-1 - at]), left)
    return start, end


def _shifted(line: str, by: int) -> str:
    """Return a line of a diff with its line numbers as they are in the whole files."""
    if not line.startswith("@@ ") or not by:
        return line
    _, old, new, _ = line.split(" ", 3)
    return f"@@ {_moved(old, by)} {_moved(new, by)} @@\n"


def _moved(span: str, by: int) -> str:
    number, comma, count = span[1:].partition(",")
    return f"{span[0]}{int(number) + by}{comma}{count}"


def _bounded(lines: list[str]) -> tuple[str, str]:
    kept: list[str] = []
    size = 0
    for at, line in enumerate(lines):
        whole = line if line.endswith("\n") else f"{line}\n{_NO_END}\n"
        size += len(whole.encode())
        if size > _MOST_BYTES:
            return "".join(kept).removesuffix(
                "\n"
            ), f"{len(lines) - at:,} more lines of the diff are left out"
        kept.append(whole)
    return "".join(kept).removesuffix("\n"), ""
