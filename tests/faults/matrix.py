"""The fault matrix: each row, and the tests that show it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        tier: `P` runs with every push, `L` in the long run.
        why: Why no test is named.
    """

    id: str
    fault: str
    tests: tuple[str, ...] = ()
    tier: str = "P"
    why: str = ""


MATRIX = []
