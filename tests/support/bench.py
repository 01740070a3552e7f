"""A small fleet inside the test's process, on a real Temporal server."""

import asyncio
import contextlib
import uuid
from collections.abc import Mapping
from typing import Any

from temporalio.client import Client, WorkflowFailureError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from kitsune import names
from kitsune.activities.agent import Agent
from kitsune.errors import StepFailed
from kitsune.handlers.base import StepHandler, StepParams
from kitsune.handlers.registry import HandlerRegistry, load_handlers
from kitsune.models.progress import Progress
from kitsune.models.results import RolloutResult
from kitsune.workers.local import make_local_worker
from kitsune.workers.orchestration import make_orchestration_worker
from support.wire import Wire


class ProbeParams(StepParams):
    """What a probe does, by server."""

    fail: list[str] = []
    fail_times: int = 1_000_000
    fail_once: list[str] = []
    fail_rollback: list[str] = []
    hold: list[str] = []
    fail_after_hold: list[str] = []
    hold_rollback: list[str] = []


class Probe(StepHandler[ProbeParams]):
    """A step that notes what happens and fails where it is told to; the names are the last part of server ids."""

    type = "probe"
    params_model = ProbeParams
    reversible = "full"

    def __init__(self):
        self.ledger = []
        self.changed = asyncio.Event()
        self.released = asyncio.Event()
        self.held = asyncio.Event()
        self.fail_when_released = False

    def note(self, what, ctx):
        self.ledger.append((what, ctx.step_name, short(ctx.server_id)))
        self.changed.set()

    async def execute(self, params: ProbeParams, ctx) -> Mapping[str, Any]:
        server = short(ctx.server_id)
        self.note("execute", ctx)
        if server in params.fail_once and self.count("execute", ctx.step_name).count(server) == 1:
            raise StepFailed(f"told to fail on {server} for once")
        if server in params.fail_after_hold:
            await self.held.wait()
            raise StepFailed(f"told to fail on {server}")
        if server in params.hold:
            self.held.set()
            await self.released.wait()
            if self.fail_when_released:
                raise StepFailed(f"told to fail on {server}")
        if server in params.fail and ctx.attempt <= params.fail_times:
            raise StepFailed(f"told to fail on {server}", outputs={"seen": server})
        return {"attempt": ctx.attempt}

    async def rollback(self, params: ProbeParams, undo, ctx) -> None:
        self.note("rollback", ctx)
        if short(ctx.server_id) in params.hold_rollback:
            await self.released.wait()
        if short(ctx.server_id) in params.fail_rollback:
            raise StepFailed("told to fail the rollback")

    def count(self, what, step=None):
        return sorted(
            server for kind, name, server in self.ledger if kind == what and step in (None, name)
        )


#: Seconds that all workers of a bench may take to end.
_CLOSED_WITHIN = 45


def short(server_id):
    return server_id.rsplit(".", 1)[-1]


class Bench:
    """Runs plans on servers that live in this process."""

    def __init__(self, client, folder):
        self.client = client
        self.prefix = uuid.uuid4().hex[:8]
        self.probe = Probe()
        self.registry = HandlerRegistry([*load_handlers(), self.probe])
        self.agents = {}
        self._folder = folder
        self._workers = contextlib.AsyncExitStack()
        self._wires = []
        self.rollouts = []

    def id_of(self, name):
        return f"{self.prefix}.{name}"

    async def start_orchestrator(self, **options):
        worker = make_orchestration_worker(self.client, self.registry, **options)
        return await self._workers.enter_async_context(worker)

    async def start_servers(self, *given, registry=None):
        for name in given:
            server_id = self.id_of(name)
            agent = Agent.at(
                self._folder / name, server_id=server_id, registry=registry or self.registry
            )
            self.agents[name] = agent
            await self._workers.enter_async_context(make_local_worker(self.client, agent))

    async def start(self, plan, *, rollout_id=None):
        raw = dict(plan)
        if isinstance(raw.get("servers"), list):
            raw["servers"] = [self.id_of(name) for name in raw["servers"]]
        handle = await self.client.start_workflow(
            names.ORCHESTRATION_WORKFLOW,
            raw,
            id=rollout_id or f"{self.prefix}-rollout-{uuid.uuid4().hex[:6]}",
            task_queue=names.ORCHESTRATOR_QUEUE,
            result_type=RolloutResult,
        )
        self.rollouts.append(handle)
        return handle

    async def run(self, plan):
        """Run a plan to its end and return its result, however it ended."""
        return await self.end_of(await self.start(plan))

    async def end_of(self, handle):
        try:
            return await handle.result()
        except WorkflowFailureError as error:
            if getattr(error.cause, "type", "") in (
                names.FAILURE_ROLLOUT_STOPPED,
                names.FAILURE_ROLLOUT_ABORTED,
            ):
                return RolloutResult.model_validate(error.cause.details[0])
            raise

    async def start_separate_server(self, name):
        """Start a server behind a wire of its own, which can be cut."""
        wire = Wire(self.client.service_client.config.target_host)
        address = await self._workers.enter_async_context(wire)
        client = await connect(address)
        agent = Agent.at(self._folder / name, server_id=self.id_of(name), registry=self.registry)
        self.agents[name] = agent
        await self._workers.enter_async_context(make_local_worker(client, agent))
        self._wires.append(wire)
        return wire

    async def until(self, condition):
        """Wait until something is true of the probe's ledger."""
        async with asyncio.timeout(30):
            while not condition():
                self.probe.changed.clear()
                await self.probe.changed.wait()

    async def until_progress(self, handle, condition):
        """Wait until something is true of a rollout's progress, and return it."""
        async with asyncio.timeout(30):
            while True:
                seen = await handle.query(names.QUERY_PROGRESS, result_type=Progress)
                if condition(seen):
                    return seen
                await asyncio.sleep(0.05)

    async def close(self):
        for wire in self._wires:
            wire.mend()
        for rollout in self.rollouts:
            with contextlib.suppress(RPCError):
                await rollout.terminate()
        self.probe.released.set()
        closing = asyncio.create_task(self._workers.aclose())
        await asyncio.wait({closing}, timeout=_CLOSED_WITHIN)
        for agent in self.agents.values():
            await agent.journal.close()
        if not closing.done():
            # Once in some dozens of times the SDK waits long for a poll whose connection was cut before. That is a
            # failure, but no reason for the runner to wait for ever for the end of everything.
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                asyncio._unregister_task(task)
            raise TimeoutError(f"a worker did not end within {_CLOSED_WITHIN} s")
        await closing


def statuses(result):
    """Return status by short server name."""
    return {short(server.server_id): server.status.value for server in result.results}


def plan_of(servers, strategy=None, *, hold=(), fail=(), fail_after_hold=()):
    """Return a plan of two probing steps; the second one does what is asked of it."""
    behaviour = {"hold": list(hold), "fail": list(fail), "failAfterHold": list(fail_after_hold)}
    return {
        "servers": list(servers),
        "steps": [
            {"name": "one", "type": "probe", "params": {}},
            {"name": "two", "type": "probe", "params": behaviour},
        ],
        "rolloutStrategy": strategy or {},
    }


async def connect(address):
    return await Client.connect(address, data_converter=pydantic_data_converter)
