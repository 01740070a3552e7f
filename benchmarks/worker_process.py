"""A process of a benchmark's fleet: the orchestration worker, or local workers of many servers.

`python -m benchmarks.worker_process KIND ROLE ADDRESS METRICS_PORT FIRST COUNT STATE`; it ends with SIGTERM or its parent.
KIND is `kitsune`, `floor` or `floor-sandboxed`; ROLE is `orchestrator` or `servers`.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import PollerBehaviorSimpleMaximum, UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from benchmarks.floors import QUEUE, FloorActivities, FloorFleet, FloorServer, floor_step
from benchmarks.workload import OWN
from kitsune.activities.orphans import end_orphans
from kitsune.activities.server import Agent
from kitsune.handlers.base import StepContext
from kitsune.handlers.file_write import FileWriteHandler
from kitsune.handlers.file_write_params import FileWriteParams
from kitsune.handlers.registry import HandlerRegistry, load_handlers
from kitsune.workers.local import make_local_worker
from kitsune.workers.orchestration import make_orchestration_worker


class OwnDisk(FileWriteHandler):
    """The real handler; the path names the server, for here all servers share one disk."""

    async def execute(self, params: FileWriteParams, ctx: StepContext) -> Mapping[str, Any]:
        """Write the server's own file."""
        path = params.path.replace(OWN, ctx.server_id)
        return await super().execute(params.model_copy(update={"path": path}), ctx)


def _registry() -> HandlerRegistry:
    return HandlerRegistry(
        [OwnDisk(), *(one for one in load_handlers() if one.type != OwnDisk.type)]
    )


async def serve(given: list[str]) -> None:
    """Run the workers until we are told to end."""
    kind, role, address, port, first, count, state = given
    metrics = PrometheusConfig(bind_address=f"127.0.0.1:{port}")
    client = await Client.connect(
        address,
        data_converter=pydantic_data_converter,
        runtime=Runtime(
            telemetry=TelemetryConfig(metrics=metrics),
            worker_heartbeat_interval=timedelta(seconds=30),
        ),
    )
    names = [f"server-{number}" for number in range(int(first), int(first) + int(count))]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    beside: list[asyncio.Task[None]] = []
    async with AsyncExitStack() as stack:
        if kind == "kitsune":
            if role == "orchestrator":
                await stack.enter_async_context(make_orchestration_worker(client, _registry()))
            beside += [await _serve_kitsune(stack, client, name, Path(state)) for name in names]
        else:
            sandboxed = kind == "floor-sandboxed"
            if role == "orchestrator":
                await stack.enter_async_context(_floor_orchestrator(client, sandboxed=sandboxed))
            for name in names:
                await stack.enter_async_context(_floor_server(client, name, sandboxed=sandboxed))
        await stop.wait()
        os._exit(0)  # nobody waits for what we might still tell


async def _serve_kitsune(
    stack: AsyncExitStack, client: Client, name: str, state: Path
) -> asyncio.Task[None]:
    """Start what the command `kitsune local-worker` runs all the time."""
    agent = Agent.at(state / name, server_id=name, registry=_registry())
    await stack.enter_async_context(make_local_worker(client, agent))
    return asyncio.create_task(end_orphans(client, agent))


def _runner(*, sandboxed: bool) -> SandboxedWorkflowRunner | UnsandboxedWorkflowRunner:
    return SandboxedWorkflowRunner() if sandboxed else UnsandboxedWorkflowRunner()


def _floor_orchestrator(client: Client, *, sandboxed: bool) -> Worker:
    return Worker(
        client,
        task_queue=QUEUE,
        workflows=[FloorFleet, FloorActivities],
        activities=[
            floor_step
        ],  # nobody calls it here; so both kinds of polls show that the worker is there
        workflow_runner=_runner(sandboxed=sandboxed),
    )


def _floor_server(client: Client, name: str, *, sandboxed: bool) -> Worker:
    """Return a plain worker; only its pollers are few, as Kitsune's are, for the machine has one process for many."""
    return Worker(
        client,
        task_queue=name,
        workflows=[FloorServer],
        activities=[floor_step],
        workflow_runner=_runner(sandboxed=sandboxed),
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(2),
        activity_task_poller_behavior=PollerBehaviorSimpleMaximum(1),
        max_concurrent_workflow_tasks=4,
        max_concurrent_activities=8,
        max_cached_workflows=8,
    )


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1:]))
