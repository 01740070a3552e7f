"""What is wrong with a plan: one problem per place, in words that an operator can act on."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from kitsune.models.base import WireModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SHOWN_VALUE = 80
_SHOWN_BITS = 200
_PLAIN_KEY = re.compile(r"[^\W\d][\w-]{0,99}|\$schema")


class Problem(WireModel):
    """One thing that is wrong with a plan.

    Attributes:
        path: Where, as in `steps[2].params.duration`; empty for the plan as a whole.
        value: What stands there, as shown to people; None where something is missing or secret.
        message: What is wrong, with the value and what would work.
        hint: The nearest thing that is known, for a typo.
        at_key: The key itself is wrong, rather than its value.
        sensitive: What stands there is secret: nobody shows it, nor the line of the file that holds it.
    """

    path: str = ""
    value: str | None = None
    message: str
    hint: str | None = None
    at_key: bool = False
    sensitive: bool = False

    @property
    def text(self) -> str:
        """The problem in one line."""
        where = f"{self.path}: " if self.path else ""
        hint = f" (did you mean {self.hint!r}?)" if self.hint else ""
        return f"{where}{self.message}{hint}"


def show_value(value: Any) -> str:
    """Return a value for a message: short, on one line, `null` and `true` as people write them."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return f"a number of {value.bit_length():,} bits"  # Python refuses to write the longest
    text = repr(value[: _SHOWN_VALUE + 1] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN_VALUE else text[: _SHOWN_VALUE - 1] + "…"


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known word that a typo most likely meant, or None.

    Args:
        word: What was written; of a long one, only the beginning is looked at.
        known: What would work.
        cutoff: How alike they must be, from 0 to 1; capitals and underscores do not count.
    """
    by_folded = {_folded(name): name for name in sorted(known)}
    found = get_close_matches(_folded(word[:100]), list(by_folded), n=1, cutoff=cutoff)
    return by_folded[found[0]] if found else None


def _folded(word: str) -> str:
    return word.casefold().replace("_", "").replace("-", "")


def join_path(location: Sequence[str | int], *, prefix: str = "") -> str:
    """Return `steps[2].params` for `("steps", 2, "params")`, and `env["a.b"]` for unusual keys."""
    path = prefix
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            path += f".{part}" if path else part
        else:
            path += f"[{json.dumps(part[:100])}]"
    return path


def parent_path(path: str) -> str:
    """Return the path of what holds a place: `steps[2]` for `steps[2].params`, empty for `steps`."""
    if path.endswith('"]'):
        opened = path.rfind('["')
        return path[: max(opened, 0)]
    return path[: max(path.rfind("."), path.rfind("["), 0)]
