"""The part `agent`: one local worker at rest, and while a script writes 1 GB."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from benchmarks.parts import Options
from benchmarks.processes import (
    Look,
    command_prefix,
    cpu_of,
    look_at,
    memory_of_tree,
    run_command,
)
from benchmarks.rounds import say as tell
from benchmarks.table import number, seconds, table
from benchmarks.workload import plan_for, say
from kitsune import names
from kitsune.embedded.local_fleet import LocalFleet

_SERVER = "server-1"
_BARE = "a worker of Temporal's SDK with nothing in it,"
_SETTLE = 15.0
_REST = 30.0
_LOOK_EVERY = 0.1
_SCRIPT = "yes 'a line of the output of a script' | head -c 1000000000"


async def measure_agent(options: Options) -> dict[str, str]:
    """Look at a local worker and return tables by name."""
    folder = options.folder / "agent"
    async with LocalFleet(state=folder, servers=[_SERVER], in_memory=True) as fleet:
        client = await Client.connect(fleet.address, data_converter=pydantic_data_converter)
        watched = {worker.name: worker.pid or 0 for worker in fleet.workers}
        await _roll_out(client, "first", say("first"), options)
        with _bare_worker(fleet.address, options.folder / "bare-worker.log") as bare_pid:
            rows = await _at_rest({**watched, _BARE: bare_pid}, options)
        pid = watched[_SERVER]
        tell("a script that writes 1 GB")
        rows.append(await _under_load(options, client, pid))
    bare = await _bare(options)
    rows.append(("the same script into /dev/null, without Kitsune", "", "", "", "", *bare))
    head = ("one process", "MB", "most MB", "threads", "descriptors", "CPU", "within")
    return {"agent": table(head, rows)}


@contextmanager
def _bare_worker(address: str, log: Path) -> Iterator[int]:
    """Run a worker with nothing of Kitsune, and yield its process id."""
    command = [*command_prefix(), sys.executable, "-m", "benchmarks.bare_worker", address]
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


async def _at_rest(watched: dict[str, int], options: Options) -> list[tuple[str, ...]]:
    tell(f"at rest: {_SETTLE:.0f} s to settle, then {_REST:.0f} s")
    await asyncio.sleep(_SETTLE)
    before = {name: look_at(pid) for name, pid in watched.items()}
    await asyncio.sleep(_REST)
    rows = []
    for name, pid in watched.items():
        look = look_at(pid)
        used = look.cpu - before[name].cpu
        options.record.add(
            "agent", what=f"{name} at rest", **asdict(look), used=used, seconds=_REST
        )
        rows.append(_row(f"{name} at rest", look, used, _REST))
    return rows


async def _under_load(options: Options, client: Client, pid: int) -> tuple[str, ...]:
    step = {
        "name": "write",
        "type": "script",
        "timeout": "10m",
        "params": {"command": "sh", "args": ["-c", _SCRIPT]},
    }
    began, cpu = time.perf_counter(), cpu_of(pid)
    running = asyncio.create_task(_roll_out(client, "large", step, options))
    most = look_at(pid)
    helpers = 0.0
    while not running.done():
        most, helpers = _most(most, look_at(pid)), max(helpers, memory_of_tree(pid, itself=False))
        await asyncio.wait({running}, timeout=_LOOK_EVERY)
    await running
    took, used = time.perf_counter() - began, cpu_of(pid) - cpu
    most = _most(most, look_at(pid))
    name = f"{_SERVER} with 1 GB of output (its shim and script beside it: {helpers:.0f} MB)"
    options.record.add("agent", what=name, **asdict(most), helpers=helpers, used=used, seconds=took)
    return _row(name, most, used, took)


def _most(one: Look, other: Look) -> Look:
    return Look(**{key: max(value, asdict(other)[key]) for key, value in asdict(one).items()})


async def _bare(options: Options) -> tuple[str, str]:
    ended = await run_command(
        ["/bin/sh", "-c", f"{_SCRIPT} > /dev/null"],
        log=options.folder / "bare.log",
        limit=options.limit,
    )
    options.record.add("agent", what="bare script", seconds=ended.seconds, used=ended.cpu)
    return seconds(ended.cpu), seconds(ended.seconds)


async def _roll_out(client: Client, name: str, step: dict[str, Any], options: Options) -> None:
    async with asyncio.timeout(options.limit):
        result: Any = await client.execute_workflow(
            names.ORCHESTRATION_WORKFLOW,
            plan_for([_SERVER], [step]),
            id=f"agent-{name}",
            task_queue=names.ORCHESTRATOR_QUEUE,
        )
    if not result["success"]:
        raise RuntimeError(f"the rollout failed: {str(result)[:1000]}")


def _row(name: str, look: Look, used: float, within: float) -> tuple[str, ...]:
    return (
        name,
        number(look.rss, 1),
        number(look.peak, 1),
        str(look.threads),
        str(look.descriptors),
        seconds(used),
        seconds(within),
    )
