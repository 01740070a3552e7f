"""The part `cli`: how long commands take that do next to nothing."""

import asyncio
import sys
from statistics import median

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from benchmarks.parts import Options
from benchmarks.processes import run_command
from benchmarks.rounds import say as tell
from benchmarks.table import milliseconds, table
from benchmarks.workload import plan_for, say
from kitsune import names
from kitsune.embedded.local_fleet import KITSUNE, LocalFleet, client_environment
from kitsune.embedded.local_processes import clean_environment

_RUNS = 15
_ROLLOUT = "cli"


async def measure_cli(options: Options) -> dict[str, str]:
    """Time commands, one after the other in each round, and return tables by name."""
    tell(f"{_RUNS} rounds")
    commands = {
        "`python -c pass`": [sys.executable, "-c", "pass"],
        "`python -c 'import click'`": [sys.executable, "-c", "import click"],
        "`python -c 'import temporalio.client'`": [
            sys.executable,
            "-c",
            "import temporalio.client",
        ],
        "`kitsune --help`": [*KITSUNE, "--help"],
        "`kitsune version`": [*KITSUNE, "version"],
        "`kitsune status ROLLOUT`": [*KITSUNE, "status", _ROLLOUT],
        "`kitsune list`": [*KITSUNE, "list"],
    }
    took: dict[str, list[float]] = {name: [] for name in commands}
    fleet = LocalFleet(state=options.folder / "cli", servers=["server-1"], in_memory=True)
    async with fleet:
        client = await Client.connect(fleet.address, data_converter=pydantic_data_converter)
        async with asyncio.timeout(options.limit):
            await client.execute_workflow(
                names.ORCHESTRATION_WORKFLOW,
                plan_for(["server-1"], [say("step")]),
                id=_ROLLOUT,
                task_queue=names.ORCHESTRATOR_QUEUE,
            )
        env = clean_environment(**client_environment(fleet.address))
        for number in range(_RUNS + 1):
            for name, command in commands.items():
                ended = await run_command(
                    command,
                    log=options.folder / "cli.log",
                    limit=options.limit,
                    env=env,
                    guarded=False,
                )
                if number:  # the first one reads from the disk
                    took[name].append(ended.seconds)
                    options.record.add(
                        "cli", command=name.strip("`"), seconds=ended.seconds, cpu=ended.cpu
                    )
    rows = [
        (
            name,
            *(milliseconds(value) for value in (median(times), min(times), max(times))),
        )
        for name, times in took.items()
    ]
    return {"cli": table(("command, from start to exit", "median", "least", "most"), rows)}
