"""Whether data can travel as JSON at all, before anything looks at its meaning."""

import math
from collections.abc import Iterator
from typing import Any

from kitsune.models.problems import Problem, join_path, show_value
from kitsune.rollout.limits import MAX_DEPTH

TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_SHOWN_DIGITS = 20
_LARGEST = 2**63 - 1


def unsound(raw: Any) -> list[Problem]:
    """Return what no plan can hold: endless nesting, numbers and characters that JSON has no place for.

    Walks without recursion, so that the data cannot exhaust the stack of whoever reads it next.
    """
    return [
        Problem(path=path, value=show_value(value), message=fault)
        for path, value, depth in walk(raw)
        if (fault := _fault(value, depth)) is not None
    ]


def walk(raw: Any) -> Iterator[tuple[str, Any, int]]:
    """Yield path, value and depth of everything in some data, top to bottom, no deeper than a plan goes."""
    todo: list[tuple[str, Any, int]] = [("", raw, 0)]
    while todo:
        path, value, depth = todo.pop()
        yield path, value, depth
        if depth > MAX_DEPTH:
            continue
        entries: Any = ()
        if isinstance(value, dict):
            entries = value.items()
        elif isinstance(value, list):
            entries = enumerate(value)
        inner = [
            (join_path([key if isinstance(key, int) else str(key)], prefix=path), entry, depth + 1)
            for key, entry in entries
        ]
        todo.extend(reversed(inner))


def _fault(value: Any, depth: int) -> str | None:
    if depth > MAX_DEPTH:
        return TOO_DEEP
    if isinstance(value, dict):
        bad = next((key for key in value if not isinstance(key, str) or _broken(key)), None)
        return None if bad is None else f"not a key: {show_value(bad)} (keys are text)"
    if isinstance(value, str) and _broken(value):
        return f"half of a character: {show_value(value)} (a surrogate without its other half)"
    if isinstance(value, float) and not math.isfinite(value):
        return f"not a number that can be counted with: {value!r}"
    if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        digits = show_value(value)
        shown = digits if len(digits) <= _SHOWN_DIGITS else f"{digits[:_SHOWN_DIGITS]}…"
        return f"a whole number of more than 64 bits: {shown} (put it in quotes)"
    return None


def _broken(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)
