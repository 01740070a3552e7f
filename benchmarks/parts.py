"""What the parts of the benchmark share."""

from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.record import Record
from benchmarks.rounds import say
from benchmarks.systems.base import System
from benchmarks.table import Row


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

    async def try_for(
        self, part: str, work: Awaitable[list[Row]], *, system: str, **about: Any
    ) -> list[Row]:
        """Return the rows of one measurement; none where it fails, which is told and recorded."""
        try:
            return await work
        except Exception as error:  # noqa: BLE001 - the other rows go on
            why = self.record.fail(part, error, system=system, **about)
            say(f"{system} failed: {why}")
            return []
