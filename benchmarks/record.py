"""The record: one JSON object per run, appended to a file as it comes, so that a run that is cut short leaves what it had."""

import importlib.metadata
import json
import os
import platform
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


def machine() -> dict[str, Any]:
    """Return what the figures depend on: this machine, this code."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "commit": commit,
        "python": platform.python_version(),
        "temporalio": importlib.metadata.version("temporalio"),
        "cores": os.cpu_count(),
        "processor": _processor(),
    }


def load() -> float:
    """Return how many processes wanted a processor in the last minute."""
    return round(os.getloadavg()[0], 1)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


@dataclass
class Record:
    """Collects the entries of one call of the benchmark.

    Attributes:
        path: The file that they are appended to; None: to none.
        options: What the command line says, for whoever reads the file.
        entries: All so far.
        where: What is the same for all of them: this machine, this code.
    """

    path: Path | None
    options: dict[str, Any] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    where: dict[str, Any] = field(default_factory=machine)

    def add(self, part: str, **facts: Any) -> Entry:
        """Note one run of a part."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        entry = {"at": at, "part": part, **facts, "load": load()}
        self.entries.append(entry)
        if self.path:
            with self.path.open("a") as file:
                file.write(json.dumps(entry | self.where | {"options": self.options}) + "\n")
        return entry

    def fail(self, part: str, error: Exception, **facts: Any) -> str:
        """Note that a run failed, and return why, for people."""
        why = "took too long" if isinstance(error, TimeoutError) else repr(error)[:2000]
        self.add(part, **facts, error=why)
        return why

    def failed(self, part: str) -> bool:
        """Return whether any run of a part failed."""
        return any(entry["part"] == part and "error" in entry for entry in self.entries)

    def of(self, part: str, **wanted: Any) -> list[Entry]:
        """Return the counted entries of a part that have these values."""
        return [
            entry
            for entry in self.entries
            if entry["part"] == part
            and "error" not in entry
            and all(entry.get(key) == value for key, value in wanted.items())
        ]
