"""Time a plan of four small steps on N local workers of an embedded server; see benchmarks/README.md."""

import argparse
import asyncio
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from temporalio.client import Client

from kitsune import names
from kitsune.embedded.local_fleet import LocalFleet


def plan_for(servers: tuple[str, ...], folder: Path, run: int) -> dict[str, Any]:
    """Return the plan; each run writes new content."""
    write = {"path": str(folder / "release"), "content": f"release {run}\n"}
    return {
        "name": "bench",
        "servers": list(servers),
        "steps": [
            {"name": "begin", "type": "echo", "params": {"message": "begin"}},
            {"name": "write", "type": "file_write", "params": write},
            {
                "name": "deploy",
                "type": "script",
                "params": {"command": "echo", "args": ["deployed"]},
            },
            {"name": "end", "type": "echo", "params": {"message": "end"}},
        ],
    }


async def time_rollouts(servers: int, runs: int) -> list[float]:
    """Return the seconds of each counted run."""
    with tempfile.TemporaryDirectory(prefix="kitsune-bench-") as folder:
        state = Path(folder)
        ids = [f"server-{number}" for number in range(1, servers + 1)]
        async with LocalFleet(state=state / "state", servers=ids, in_memory=True) as fleet:
            client = await Client.connect(fleet.address)
            return [
                await _time_one(client, plan_for(fleet.servers, state, run), run)
                for run in range(runs + 1)
            ][1:]


async def _time_one(client: Client, plan: dict[str, Any], run: int) -> float:
    began = time.perf_counter()
    result = await client.execute_workflow(
        names.ORCHESTRATION_WORKFLOW, plan, id=f"bench-{run}", task_queue=names.ORCHESTRATOR_QUEUE
    )
    took = time.perf_counter() - began
    if not result["success"]:
        sys.exit(f"the rollout failed, so its time means nothing: {result}")
    return took


def main() -> None:
    """Run the benchmark and print one line of facts and one of figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--servers", type=int, default=10, help="how many local workers (default 10)"
    )
    parser.add_argument("--runs", type=int, default=3, help="how many counted runs (default 3)")
    options = parser.parse_args()
    took = asyncio.run(time_rollouts(options.servers, options.runs))
    print(
        f"{options.servers} servers x 4 steps, Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}"
    )
    median = statistics.median(took)
    print(
        f"median {median:.2f} s of {len(took)} runs ({min(took):.2f} to {max(took):.2f} s), "
        f"{median / options.servers * 1000:.0f} ms per server"
    )
    sys.stdout.flush()
    os._exit(0)  # Temporal's client may abort at interpreter exit


if __name__ == "__main__":
    main()
