"""What an unquoted word of YAML means.

The core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), with one rule on top: a word is a number only when
writing the number back gives the same word. `2`, `-1` and `2.5` are numbers. `0644`, `1.10`, `+1`, `.5`, `1e3`, `0x1F`
and `.inf` stay the text that was written: they are file modes, versions and commit ids more often than numbers.
"""

import re

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_FRACTION = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")
#: Digits that are counted with. More are far beyond 64 bits either way, and slow to read.
_MOST_DIGITS = 40

Scalar = str | int | float | bool | None


def resolve(word: str) -> Scalar:
    """Return what an unquoted word means."""
    if word in _NULL:
        return None
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    if _INTEGER.fullmatch(word) and word != "-0":
        return integer(word)
    if _FRACTION.fullmatch(word) and repr(float(word)) == word:
        return float(word)
    return word


def integer(digits: str) -> int:
    """Return a whole number; one with too many digits stays too large for a plan, and is refused as such."""
    return int(digits[:_MOST_DIGITS])
