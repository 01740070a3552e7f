"""`python -m benchmarks`: what `make bench` runs."""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.agent import measure_agent
from benchmarks.cli_start import measure_cli
from benchmarks.comparison import compare
from benchmarks.dashboard import measure_dashboard
from benchmarks.growth import measure_growth, measure_steps
from benchmarks.latency import measure_latency
from benchmarks.parts import Options
from benchmarks.record import Record, load
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
#: What the page is filled from, or nothing: its text speaks of these tables.
_PUBLISHED = ("systems", "servers", "sizes", "samples")
_LEAST_ROUNDS = 3
#: Places of the page that hold no figures of their own.
_WITHOUT_SOURCE = {"chart", "targets"}
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
    add(
        "--rounds",
        type=_count,
        default=3,
        help="counted rounds of the parts `systems` and `steps` (default 3)",
    )
    add("--sizes", type=_counts, default=(10, 100, 500, 1000, 2000), help="servers of each fleet of the part `growth` (default 10,100,500,1000,2000)")  # fmt: skip
    add("--samples", type=_count, default=100, help="orders of the part `latency` (default 100)")
    add("--processes", type=_count, default=os.cpu_count() or 2, help="for the local workers of all servers (default: as many as cores)")  # fmt: skip
    add(
        "--limit",
        type=_count,
        default=900,
        help="seconds that one start or one run may take (default 900)",
    )
    add(
        "--record",
        type=_file,
        metavar="FILE",
        help="append one JSON object per run",
    )
    add("--chart", type=_file, metavar="FILE", help="draw the part `systems` as SVG")
    add(
        "--docs",
        action="store_true",
        help="replace the tables of docs/performance.md, and the chart beside it",
    )
    chosen = parser.parse_args(given)
    if chosen.docs:
        if less := [name for name in _PUBLISHED if getattr(chosen, name) != parser.get_default(name)]:  # fmt: skip
            parser.error(f"--docs fills the published page: leave --{less[0]} at its default")
        if chosen.rounds < _LEAST_ROUNDS:
            parser.error(f"--docs fills the published page: write --rounds {_LEAST_ROUNDS} or more")
    page = _PAGE if chosen.docs else None
    settings = {name: getattr(chosen, name) for name in ("rounds", "processes", "samples", "limit")}
    options = Options(
        servers=chosen.servers,
        rounds=chosen.rounds,
        systems=tuple(SYSTEMS[name] for name in chosen.systems),
        sizes=chosen.sizes,
        samples=chosen.samples,
        processes=chosen.processes,
        limit=float(chosen.limit),
        folder=Path(),
        record=Record(chosen.record, settings),
        chart=chosen.chart or (page.with_suffix(".svg") if page else None),
        page=page,
    )
    return options, chosen.parts


def _names(known: Mapping[str, object]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        wanted = _words(text)
        for word in wanted:
            if word not in known:
                raise argparse.ArgumentTypeError(f"{word!r} is none of {', '.join(known)}")
        return wanted

    return names


def _words(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise argparse.ArgumentTypeError(f"{text!r} names nothing")
    for word in words:
        if words.count(word) > 1:
            raise argparse.ArgumentTypeError(f"{text!r} names {word} twice")
    return words


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
    return tuple(_count(word) for word in _words(text))


async def run(options: Options, parts: list[str]) -> list[str]:
    """Run the parts one after the other; each prints its tables as soon as it has them.

    Returns:
        The parts of which something failed; what they hold on the page stays as it was.
    """
    failed: list[str] = []
    _end_on_signals(options.folder)
    where = options.record.where
    about = (
        f"commit {where['commit']}, Python {where['python']}, temporalio {where['temporalio']}, "
        f"{where['cores']} cores ({where['processor']})"
    )
    print(f"{about}, load {load()} at the start", flush=True)
    for number, name in enumerate(parts, 1):
        say(f"== {name} ({number} of {len(parts)})")
        began = f"{datetime.now(UTC):%Y-%m-%d %H:%M}, {about}, load {load()} before it"
        try:
            tables = await PARTS[name](options)
            for text in tables.values():
                print(f"\n{text}", flush=True)
            if options.record.failed(name):
                failed.append(name)
            elif options.page:
                _publish(options.page, tables, began)
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001 - the other parts go on
            failed.append(name)
            say(f"{name} failed: {error!r}")
    return failed


def _publish(page: Path, tables: Mapping[str, str], source: str) -> None:
    for place, text in tables.items():
        fill(page, place, text if place in _WITHOUT_SOURCE else f"{text}\n\n*{source}*")


def _end_on_signals(folder: Path) -> None:
    """End what was started when we are told to, in order; told again, at once."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def end() -> None:
        for number in _STOPS:
            loop.add_signal_handler(number, end_at_once)
        if task:
            task.cancel()

    def end_at_once() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(130)  # our processes end with us

    for number in _STOPS:
        loop.add_signal_handler(number, end)


def main() -> None:
    """Run the benchmark in a folder of its own that is gone afterwards."""
    options, parts = parse(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="kbench-", ignore_cleanup_errors=True) as folder:
        # What peers leave in the folder for temporary files goes with ours.
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        try:
            failed = asyncio.run(run(replace(options, folder=Path(folder)), parts))
            code = 1 if failed else 0
            if failed:
                say(f"not everything could be measured: see {', '.join(failed)} above")
        except (KeyboardInterrupt, asyncio.CancelledError):
            say("stopped: everything that was started has ended")
            code = 130
        except BrokenPipeError:  # whoever read our tables has read enough
            code = 1
        finally:
            for number in _STOPS:
                signal.signal(number, signal.SIG_IGN)  # the folder goes as a whole
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    os._exit(code)  # Temporal's client may abort at interpreter exit


if __name__ == "__main__":
    main()
