"""Every server that Temporal knows of: those with a local worker, and those that rollouts have met and that are away now."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError

from kitsune import names
from kitsune.errors import KitsuneError
from kitsune.service.asking import ask_what_it_can
from kitsune.service.listing import WorkerRow, list_workers

#: The latest runs on servers that are looked through for servers that are away.
_RUNS = 5000
_PAGE = 1000
_AT_ONCE = 50
_PATIENCE = timedelta(seconds=2)
_DIGITS = re.compile(r"([0-9]{1,18})")
_GUARD = names.server_execution_id("")


@dataclass(frozen=True)
class ServerRow:
    """One server.

    Attributes:
        state: `online`, `silent`, `stopping` or `stopped`, or `offline`: no local worker is known of.
        heard_at: When its local worker was last heard of, by its own clock; where none is known, when a rollout
            last did something there; None where only its start is known.
        cpu, memory: Share of the host's that was in use at the last report, from 0 to 1; None where it was not told.
        holder: The rollout that runs there, or empty.
        last_rollout: The rollout that was there last, or empty.
        step_types: What it offers; empty where it was not asked or did not answer.
    """

    server_id: str
    state: str
    heard_at: datetime | None
    version: str = ""
    host: str = ""
    identity: str = ""
    cpu: float | None = None
    memory: float | None = None
    holder: str = ""
    last_rollout: str = ""
    step_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inventory:
    """All servers by id, and the orchestration workers."""

    servers: list[ServerRow]
    orchestrators: list[WorkerRow]


@dataclass(frozen=True)
class _Run:
    """The latest run of a rollout on a server."""

    rollout_id: str
    open: bool
    seen_at: datetime | None


async def take_inventory(client: Client, *, now: datetime, ask: bool = False) -> Inventory:
    """Return every server that is known.

    Args:
        client: The way to Temporal.
        now: The time.
        ask: Ask each server that is there for its step types.

    Raises:
        RPCError: Temporal does not answer.
    """
    workers, runs = await asyncio.gather(list_workers(client, now=now), _latest_runs(client))
    rows = {row.queue: _known(row, runs.get(row.queue)) for row in workers.servers}
    for server_id, run in runs.items():
        rows.setdefault(server_id, _away(server_id, run))
    servers = [rows[server_id] for server_id in sorted(rows, key=natural)]
    if ask:
        servers = await _with_types(client, servers)
    return Inventory(servers, workers.orchestrators)


def natural(name: str) -> list[tuple[int, str]]:
    """Return what to sort names by so that `web-2` comes before `web-10`."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in _DIGITS.split(name)]


def _known(row: WorkerRow, run: _Run | None) -> ServerRow:
    return ServerRow(
        server_id=row.queue,
        state=row.state,
        heard_at=row.heard_at,
        version=row.version,
        host=row.host,
        identity=row.identity,
        cpu=row.cpu,
        memory=row.memory,
        holder=run.rollout_id if run and run.open else "",
        last_rollout=run.rollout_id if run else "",
    )


def _away(server_id: str, run: _Run) -> ServerRow:
    return ServerRow(
        server_id=server_id,
        state="offline",
        heard_at=run.seen_at,
        holder=run.rollout_id if run.open else "",
        last_rollout=run.rollout_id,
    )


async def _latest_runs(client: Client) -> dict[str, _Run]:
    """Return the latest run on each server, as far as the last few thousand runs tell."""
    kinds = f"'{names.SERVER_EXECUTION_WORKFLOW}', '{names.SERVER_ROLLBACK_WORKFLOW}'"
    found: dict[str, tuple[datetime, _Run]] = {}
    async for execution in client.list_workflows(
        f"WorkflowType IN ({kinds})", limit=_RUNS, page_size=_PAGE
    ):
        if not execution.id.startswith(_GUARD):
            continue
        server_id = execution.id.removeprefix(_GUARD)
        before = found.get(server_id)
        if before is None or before[0] < execution.start_time:
            found[server_id] = execution.start_time, _run(execution)
    return {server_id: run for server_id, (_, run) in found.items()}


def _run(execution: WorkflowExecution) -> _Run:
    return _Run(
        rollout_id=execution.root_id or execution.parent_id or "",
        open=execution.status is WorkflowExecutionStatus.RUNNING,
        seen_at=execution.close_time,
    )


async def _with_types(client: Client, rows: Sequence[ServerRow]) -> list[ServerRow]:
    room = asyncio.Semaphore(_AT_ONCE)

    async def asked(row: ServerRow) -> ServerRow:
        if row.state != "online":
            return row
        async with room:
            return replace(row, step_types=await _step_types(client, row.server_id))

    return await asyncio.gather(*(asked(row) for row in rows))


async def _step_types(client: Client, server_id: str) -> tuple[str, ...]:
    try:
        report = await ask_what_it_can(client, server_id, patience=_PATIENCE)
    except (KitsuneError, RPCError):
        return ()
    return tuple(report.step_types)
