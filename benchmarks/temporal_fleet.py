"""A fleet on an embedded Temporal server: the orchestrator's process, and a few processes with many servers each."""

import asyncio
import re
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from benchmarks.floors import QUEUE
from benchmarks.history import rollout_facts
from benchmarks.processes import cpu_of, look_at
from benchmarks.workload import server_names
from kitsune import names
from kitsune.embedded.local_fleet import client_environment
from kitsune.embedded.local_processes import LocalProcess, clean_environment, last_lines, open_log
from kitsune.embedded.pollers import unserved_queues
from kitsune.embedded.ports import free_port
from kitsune.embedded.server import EmbeddedServer

ResultT = TypeVar("ResultT")
Kind = Literal["kitsune", "floor", "floor-sandboxed"]
_REPOSITORY = Path(__file__).parents[1]
_ASKED_AT_ONCE = 100
#: They also pass the time when nothing happens.
_POLLS = ("PollWorkflowTaskQueue", "PollActivityTaskQueue", "PollNexusTaskQueue")
_REQUEST = re.compile(r'^temporal(_long)?_request\{.*operation="(\w+)".*\} (\d+)', re.MULTILINE)


class TemporalFleet:
    """Temporal, an orchestrator and servers: `start`, use `client`, `stop`.

    Args:
        kind: Whose workers.
        folder: Of everything; must exist.
        servers: How many.
        processes: For the local workers of all servers.
        on_file: Keep Temporal's data in a file of the folder, not in memory.
    """

    def __init__(
        self, kind: Kind, folder: Path, *, servers: int, processes: int, on_file: bool = False
    ) -> None:
        self.kind, self.folder = kind, folder
        self.servers = server_names(servers)
        self.temporal = EmbeddedServer(
            folder=folder / "temporal" if on_file else None, log=folder / "temporal.log"
        )
        self._processes = min(processes, servers)
        self._workers: list[tuple[int, LocalProcess]] = []

    @property
    def orchestrator_queue(self) -> str:
        """The task queue of the orchestrator."""
        return names.ORCHESTRATOR_QUEUE if self.kind == "kitsune" else QUEUE

    async def start(self, *, limit: float) -> Self:
        """Start everything and wait until every queue is polled.

        Raises:
            TimeoutError: That took longer than `limit` seconds.
            RuntimeError: A process ended.
        """
        await self.temporal.start()
        self._spawn("orchestrator", 1, 0)
        share = -(-len(self.servers) // self._processes)
        for first in range(1, len(self.servers) + 1, share):
            self._spawn("servers", first, min(share, len(self.servers) + 1 - first))
        self.client = await Client.connect(
            self.temporal.address, data_converter=pydantic_data_converter
        )
        async with asyncio.timeout(limit):
            await self._until_polling()
        return self

    def kill(self) -> None:
        """End everything at once; nobody needs what it might still save."""
        for _, worker in self._workers:
            worker.kill()
        self.temporal.kill()

    async def stop(self) -> None:
        """End everything at once, and wait for that."""
        self.kill()
        await asyncio.gather(*(worker.stop() for _, worker in self._workers))
        await self.temporal.stop()

    async def finish(
        self, workflow: str, given: Sequence[Any], *, rollout_id: str, limit: float
    ) -> float:
        """Run a workflow of the orchestrator's to its good end and return seconds from the order to the result.

        Raises:
            RuntimeError: It failed.
            TimeoutError: It took longer than `limit` seconds.
        """
        began = time.perf_counter()
        async with asyncio.timeout(limit):
            result: Any = await self.client.execute_workflow(
                workflow, args=given, id=rollout_id, task_queue=self.orchestrator_queue
            )
        took = time.perf_counter() - began
        if result is not None and not result["success"]:
            raise RuntimeError(f"the rollout failed: {str(result)[:2000]}")
        return took

    async def observe(
        self, rollout_id: str, servers: list[str], work: Awaitable[ResultT]
    ) -> tuple[ResultT, dict[str, Any]]:
        """Await what runs a rollout; return its result, and what the rollout used and left, for a record."""
        calls, cpu, ordered = await self.requests(), self.cpu(), time.time()
        result = await work
        used = {kind: now - cpu[kind] for kind, now in self.cpu().items()}
        memory = self.memory()
        made = {kind: dict(now - calls[kind]) for kind, now in (await self.requests()).items()}
        facts = await rollout_facts(self.client, rollout_id, servers)
        if "first_step_at" in facts:
            facts["first_step"] = facts.pop("first_step_at") - ordered
        return result, facts | {"cpu": used, "memory": memory, "requests": made}

    def cpu(self) -> dict[str, float]:
        """Return seconds of processor time so far: of Temporal, the orchestrator, and all local workers."""
        orchestrator, *servers = (cpu_of(worker.pid) for _, worker in self._workers)
        return {
            "temporal": cpu_of(self.temporal.pid or 0),
            "orchestrator": orchestrator,
            "agents": sum(servers),
        }

    def memory(self) -> dict[str, float]:
        """Return MB now, like `cpu`."""
        orchestrator, *servers = (look_at(worker.pid).rss for _, worker in self._workers)
        return {
            "temporal": look_at(self.temporal.pid or 0).rss,
            "orchestrator": orchestrator,
            "agents": sum(servers),
        }

    def disk(self) -> dict[str, int]:
        """Return bytes of Temporal's database so far, where it is on a file."""
        files = list((self.folder / "temporal").glob("temporal.db*"))
        return {"database": sum(file.stat().st_size for file in files)} if files else {}

    async def requests(self) -> dict[str, Counter[str]]:
        """Return calls to Temporal so far, by process and kind of call, as the SDK counts them; polls included."""
        found = {"orchestrator": Counter[str](), "agents": Counter[str]()}
        for number, (port, _) in enumerate(self._workers):
            text = await asyncio.to_thread(_read_metrics, port)
            for _, operation, count in _REQUEST.findall(text):
                found["agents" if number else "orchestrator"][operation] += int(count)
        return found

    def _spawn(self, role: str, first: int, count: int) -> None:
        port = free_port()
        command = [
            sys.executable,
            *("-m", "benchmarks.worker_process", self.kind, role, self.temporal.address),
            *(str(port), str(first), str(count), str(self.folder / "servers")),
        ]
        with open_log(self._log_of(port)) as log:
            worker = LocalProcess(
                f"{self.kind} {role}",
                command,
                env=clean_environment(**client_environment(self.temporal.address)),
                cwd=_REPOSITORY,
                output=log,
            )
        self._workers.append((port, worker))

    def _log_of(self, port: int) -> Path:
        return self.folder / f"worker-{port}.log"

    async def _until_polling(self) -> None:
        waiting = [self.orchestrator_queue, *self.servers]
        while waiting:
            self._require_alive()
            with suppress(RPCError):  # Temporal is busy: we look again
                still = await unserved_queues(self.client, waiting[:_ASKED_AT_ONCE])
                waiting = still + waiting[_ASKED_AT_ONCE:]
                if not still:
                    continue
            await asyncio.sleep(0.2)

    def _require_alive(self) -> None:
        for port, worker in self._workers:
            if worker.exit_code is not None:
                with open_log(self._log_of(port)) as log:
                    raise RuntimeError(f"{worker.name} ended:{last_lines(log)}")


def calls_of(requests: Mapping[str, Mapping[str, int]]) -> int:
    """Return the calls of all processes together, without polls."""
    every = sum(count for made in requests.values() for count in made.values())
    return every - polls_of(requests)


def polls_of(requests: Mapping[str, Mapping[str, int]]) -> int:
    """Return the polls of all processes together."""
    return sum(made.get(kind, 0) for made in requests.values() for kind in _POLLS)


def _read_metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())
