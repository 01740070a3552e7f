"""Rounds: every system runs once in each, one after the other, so that a drift of the machine meets them all."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.record import Record
from benchmarks.systems.base import Setting, System
from benchmarks.workload import STEPS

#: Seconds between two systems, for what the last one has left to finish.
_REST = 1.0


def say(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr, flush=True)


def order_of(round_number: int, count: int) -> Iterator[int]:
    """Yield whose turn it is: each round begins with another system."""
    return ((round_number + place) % count for place in range(count))


async def run_rounds(
    chosen: Sequence[type[System]],
    *,
    folder: Path,
    servers: int,
    processes: int,
    rounds: int,
    limit: float,
    record: Record,
) -> dict[str, str]:
    """Run the rounds and record each run.

    Returns:
        The systems that did not run, and why.
    """
    missing: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        running: list[System] = []
        for kind in chosen:
            own = folder / kind.name
            own.mkdir()
            system = kind(Setting(own, servers, processes, limit))
            if lacking := system.lacks():
                missing[kind.name] = lacking
                say(f"{kind.name}: left out: {lacking}")
                continue
            say(f"{kind.name}: starting")
            stack.push_async_callback(system.stop)
            try:
                await system.start()
                await system.warm_up()
            except Exception as error:  # noqa: BLE001 - the others go on
                why = record.fail("systems", error, system=kind.name, servers=servers, round=0)
                missing[kind.name] = f"did not start: {why}"
                say(f"{kind.name}: {missing[kind.name]}")
                await system.stop()
                continue
            running.append(system)
        for number in range(1, rounds + 1):
            for place in order_of(number - 1, len(running)):
                await _run_once(running[place], number, record)
                await asyncio.sleep(_REST)
    return missing


async def _run_once(system: System, number: int, record: Record) -> None:
    setting = system.setting
    known = {"system": system.name, "servers": setting.servers, "steps": STEPS, "round": number}
    try:
        measured = await system.run(number)
    except Exception as error:  # noqa: BLE001 - the others go on
        why = record.fail("systems", error, **known)
        say(f"round {number}: {system.name} failed: {why}")
        return
    record.add("systems", **known, seconds=measured.seconds, cpu=measured.cpu, **measured.facts)
    say(f"round {number}: {system.name} {measured.seconds:.2f} s")
