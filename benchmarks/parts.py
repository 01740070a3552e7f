"""What the parts of the benchmark share."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.record import Record
from benchmarks.systems.base import System


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Attributes:
        sizes: Servers of each fleet of the part `growth`.
        samples: Of what takes a moment, how many.
        limit: Seconds that one start or one run may take.
        chart: Where to draw the comparison.
        page: The page of the docs whose tables are filled.
    """

    servers: int
    rounds: int
    systems: tuple[type[System], ...]
    sizes: tuple[int, ...]
    samples: int
    processes: int
    limit: float
    folder: Path
    record: Record
    chart: Path | None
    page: Path | None
