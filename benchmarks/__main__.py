"""`python -m benchmarks`: what `make bench` runs."""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.agent import measure_agent
from benchmarks.cli_start import measure_cli
from benchmarks.comparison import compare
from benchmarks.dashboard import measure_dashboard
from benchmarks.growth import measure_growth, measure_steps
from benchmarks.latency import measure_latency
from benchmarks.parts import Options
from benchmarks.record import Record, machine
from benchmarks.rounds import say
from benchmarks.systems.ansible import AnsibleLocal, AnsibleSsh
from benchmarks.systems.base import System
from benchmarks.systems.pyinfra import Pyinfra
from benchmarks.systems.salt import Salt
from benchmarks.systems.temporal import (
    FloorActivity,
    FloorChild,
    FloorChildSandboxed,
    Kitsune,
    KitsuneCommand,
    KitsuneOnFile,
)
from benchmarks.table import fill

SYSTEMS: dict[str, type[System]] = {
    kind.name: kind
    for kind in (
        *(FloorActivity, FloorChild, FloorChildSandboxed, Kitsune, KitsuneOnFile, KitsuneCommand),
        *(Salt, AnsibleLocal, Pyinfra, AnsibleSsh),
    )
}
PARTS: dict[str, Callable[[Options], Awaitable[dict[str, str]]]] = {
    "systems": compare,
    "steps": measure_steps,
    "latency": measure_latency,
    "agent": measure_agent,
    "cli": measure_cli,
    "dashboard": measure_dashboard,
    "growth": measure_growth,
}
_PAGE = Path(__file__).parents[1] / "docs/performance.md"


def parse(given: list[str]) -> tuple[Options, list[str]]:
    """Return the options and the parts that are asked for."""
    parser = argparse.ArgumentParser(prog="make bench", description="See benchmarks/README.md.")
    add = parser.add_argument
    add("--parts", type=_names(PARTS), default=list(PARTS), help=f"default: {','.join(PARTS)}")
    add("--systems", type=_names(SYSTEMS), default=list(SYSTEMS), help=f"of the part `systems`; default: {','.join(SYSTEMS)}")  # fmt: skip
    add(
        "--servers",
        type=_count,
        default=100,
        help="of the parts `systems` and `steps` (default 100)",
    )
    add("--rounds", type=_count, default=3, help="counted rounds (default 3)")
    add("--sizes", type=_counts, default=(10, 100, 500, 1000, 2000), help="servers of each fleet of the part `growth` (default 10,100,500,1000,2000)")  # fmt: skip
    add("--samples", type=_count, default=100, help="of the part `latency` (default 100)")
    add("--processes", type=_count, default=os.cpu_count() or 2, help="for the local workers of all servers (default: as many as cores)")  # fmt: skip
    add(
        "--limit",
        type=_count,
        default=900,
        help="seconds that one start or one run may take (default 900)",
    )
    add("--record", type=_file, metavar="FILE", help="append one JSON object per run")
    add("--chart", type=_file, metavar="FILE", help="draw the part `systems` as SVG")
    add(
        "--docs",
        action="store_true",
        help="put the tables into docs/performance.md, and the chart beside it",
    )
    chosen = parser.parse_args(given)
    page = _PAGE if chosen.docs else None
    options = Options(
        servers=chosen.servers,
        rounds=chosen.rounds,
        systems=tuple(SYSTEMS[name] for name in chosen.systems),
        sizes=chosen.sizes,
        samples=chosen.samples,
        processes=chosen.processes,
        limit=float(chosen.limit),
        folder=Path(),
        record=Record(chosen.record),
        chart=chosen.chart or (page.with_suffix(".svg") if page else None),
        page=page,
    )
    return options, chosen.parts


def _names(known: Mapping[str, object]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        wanted = [word.strip() for word in text.split(",") if word.strip()]
        for word in wanted:
            if word not in known:
                raise argparse.ArgumentTypeError(f"{word!r} is none of {', '.join(known)}")
        return wanted

    return names


def _file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no file in a folder that exists")
    return path


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no count: write 1 or more")
    return int(text)


def _counts(text: str) -> tuple[int, ...]:
    return tuple(_count(word.strip()) for word in text.split(","))


async def run(options: Options, parts: list[str]) -> list[str]:
    """Run the parts one after the other; each prints its tables as soon as it has them.

    Returns:
        The parts that failed.
    """
    failed: list[str] = []
    task = asyncio.current_task()
    if task:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    about = machine()
    print(
        f"commit {about['commit']}, Python {about['python']}, temporalio {about['temporalio']}, "
        f"{about['cores']} cores ({about['processor']}), load {about['load']} at the start"
    )
    for name in parts:
        say(f"== {name}")
        try:
            tables = await PARTS[name](options)
        except Exception as error:  # noqa: BLE001 - the other parts go on
            failed.append(name)
            say(f"{name} failed: {error!r}")
            continue
        for place, text in tables.items():
            print(f"\n{text}", flush=True)
            if options.page:
                fill(options.page, place, text)
    return failed


def main() -> None:
    """Run the benchmark in a folder of its own that is gone afterwards."""
    options, parts = parse(sys.argv[1:])
    code = 0
    with tempfile.TemporaryDirectory(prefix="kbench-", ignore_cleanup_errors=True) as folder:
        try:
            code = 1 if asyncio.run(run(replace(options, folder=Path(folder)), parts)) else 0
        except (KeyboardInterrupt, asyncio.CancelledError):
            say("stopped: everything that was started has ended")
            code = 130
    sys.stdout.flush()
    os._exit(code)  # Temporal's client may abort at interpreter exit


if __name__ == "__main__":
    main()
