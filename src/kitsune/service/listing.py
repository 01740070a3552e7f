"""Rollouts and workers as lists, from what Temporal knows without asking any worker."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflowservice.v1 import ListWorkersRequest
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus

from kitsune import names
from kitsune.models.results import RolloutStatus

#: A worker that has said nothing for so long is shown as silent: ours report every 30 seconds.
SILENT_AFTER = timedelta(seconds=90)
_PAGE = 500

_CLOSED = {
    WorkflowExecutionStatus.COMPLETED: "completed",
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.CANCELED: "canceled",
    WorkflowExecutionStatus.TERMINATED: "terminated",
    WorkflowExecutionStatus.TIMED_OUT: "timedOut",
}
#: Closed by Temporal itself: what the memo says is only the last that was known.
_FROM_OUTSIDE = frozenset({"canceled", "terminated", "timedOut"})


@dataclass(frozen=True)
class RolloutRow:
    """One rollout in a list.

    Attributes:
        state: What the rollout says of itself (a phase or a status), else what Temporal says of its workflow.
        rollback_failed: Servers on which a rollback failed.
        counts: Servers by state when the rollout last said; may be empty.
        total: Servers of the plan, or None where the rollout has not said.
        paused: Whether an operator holds it.
        gate: The gate that waits for an approval, or empty.
        held: Servers on which a person has to decide.
        rollback_pending: Servers whose rollback waits for them, or has given up waiting.
        origin: The rollout that it follows, as in `retry of web-1`; empty for most.
        run_id: Temporal's id of its first run.
        started_by: Who started it; empty where nobody has said.
    """

    rollout_id: str
    name: str
    state: str
    open: bool
    counts: dict[str, int]
    rollback_failed: int
    total: int | None
    started_at: datetime
    ended_at: datetime | None
    paused: bool = False
    gate: str = ""
    held: int = 0
    rollback_pending: int = 0
    origin: str = ""
    run_id: str = ""
    started_by: str = ""


@dataclass(frozen=True)
class WorkerRow:
    """One worker as Temporal last heard of it.

    Attributes:
        heard_at: By the worker's own clock.
        state: `online`, `stopping`, `stopped` or `silent`.
        cpu, memory: Share of the host's that was in use, from 0 to 1; None where it was not told.
    """

    queue: str
    identity: str
    host: str
    version: str
    heard_at: datetime
    state: str
    cpu: float | None = None
    memory: float | None = None


@dataclass(frozen=True)
class FleetRows:
    """All workers: one row for each server, and the orchestration workers apart."""

    servers: list[WorkerRow] = field(default_factory=list)
    orchestrators: list[WorkerRow] = field(default_factory=list)


async def list_rollouts(
    client: Client, *, limit: int, query: str | None = None
) -> list[RolloutRow]:
    """Return up to `limit` rollouts, newest first.

    Args:
        client: The way to Temporal.
        limit: Rollouts at most.
        query: A further condition in Temporal's list-filter language.
    """
    condition = f"WorkflowType = '{names.ORCHESTRATION_WORKFLOW}'"
    if query:
        condition += f" AND ({query})"
    rows = [
        await rollout_row(execution)
        async for execution in client.list_workflows(condition, limit=limit)
    ]
    return sorted(rows, key=lambda row: row.started_at, reverse=True)


async def rollout_row(execution: WorkflowExecution) -> RolloutRow:
    """Return what a workflow's description says about its rollout."""
    memo = await execution.memo()
    said = _table(memo.get(names.MEMO_ROLLOUT))
    origin = _table(memo.get(names.MEMO_ORIGIN))
    closed = _CLOSED.get(execution.status) if execution.status else None
    counts, total = said.get("counts"), said.get("total")
    return RolloutRow(
        rollout_id=execution.id,
        name=str(said.get("name") or ""),
        state=_state(str(said.get("state") or ""), closed),
        open=closed is None,
        counts=counts if isinstance(counts, dict) else {},
        rollback_failed=_count(said, "rollbackFailed"),
        total=total if isinstance(total, int) else None,
        started_at=execution.start_time,
        ended_at=execution.close_time,
        paused=closed is None and said.get("paused") is True,
        gate=str(said.get("gate") or "") if closed is None else "",
        held=_count(said, "held") if closed is None else 0,
        rollback_pending=_count(said, "rollbackPending"),
        origin=f"{origin['verb']} of {origin['rolloutId']}"
        if {"verb", "rolloutId"} <= origin.keys()
        else "",
        run_id=execution.run_id,
        started_by=str(memo.get(names.MEMO_STARTED_BY) or ""),
    )


def _table(memo: Any) -> dict[str, Any]:
    return memo if isinstance(memo, dict) else {}


def _count(said: dict[str, Any], key: str) -> int:
    count = said.get(key)
    return count if isinstance(count, int) else 0


def _state(said: str, closed: str | None) -> str:
    if closed is None:
        return said or "running"
    if closed in _FROM_OUTSIDE:
        return closed
    if said in set(RolloutStatus):
        return said
    # A rollout that ran says how it ended before its workflow ends: this one never began.
    return "refused" if closed == "failed" else closed


async def list_workers(client: Client, *, now: datetime) -> FleetRows:
    """Return every worker that Temporal has heard of in the last minutes.

    For each server only the entry that was heard of last, a live one before all others: a restarted agent leaves its
    old one behind, and so does one that was refused beside it.
    """
    return fleet_rows(await list_all_workers(client, now=now))


def fleet_rows(heard: Iterable[WorkerRow]) -> FleetRows:
    """Return one row for each server and each orchestration worker.

    Args:
        heard: All workers, the one that was heard of last at the end.
    """
    rows = sorted(heard, key=lambda row: row.state == "online")  # stable: the last one wins
    servers = {row.queue: row for row in rows if row.queue != names.ORCHESTRATOR_QUEUE}
    orchestrators = {row.identity: row for row in rows if row.queue == names.ORCHESTRATOR_QUEUE}
    return FleetRows(
        servers=sorted(servers.values(), key=lambda row: row.queue),
        orchestrators=sorted(orchestrators.values(), key=lambda row: row.identity),
    )


async def list_all_workers(client: Client, *, now: datetime) -> list[WorkerRow]:
    """Return every worker that Temporal remembers, the one that was heard of last at the end."""
    beats = await _heartbeats(client)
    return sorted((_worker_row(beat, now=now) for beat in beats), key=lambda row: row.heard_at)


async def _heartbeats(client: Client) -> list[WorkerHeartbeat]:
    beats: list[WorkerHeartbeat] = []
    token = b""
    while True:
        page = await client.workflow_service.list_workers(
            ListWorkersRequest(namespace=client.namespace, page_size=_PAGE, next_page_token=token),
            retry=True,
            timeout=timedelta(seconds=10),
        )
        beats += [info.worker_heartbeat for info in page.workers_info]
        token = page.next_page_token
        if not token:
            return beats


def _worker_row(beat: WorkerHeartbeat, *, now: datetime) -> WorkerRow:
    heard_at = beat.heartbeat_time.ToDatetime(tzinfo=UTC)
    return WorkerRow(
        queue=beat.task_queue,
        identity=beat.worker_identity,
        host=beat.host_info.host_name,
        version=beat.deployment_version.build_id,
        heard_at=heard_at,
        state=_worker_state(beat, silent=now - heard_at > SILENT_AFTER),
        cpu=_share(beat.host_info.current_host_cpu_usage),
        memory=_share(beat.host_info.current_host_mem_usage),
    )


def _share(used: float) -> float | None:
    """Return a share between 0 and 1; a worker that does not look sends exactly zero."""
    return min(used, 1.0) if used > 0 else None


def _worker_state(beat: WorkerHeartbeat, *, silent: bool) -> str:
    if beat.status == WorkerStatus.WORKER_STATUS_SHUTDOWN:
        return "stopped"
    if silent:
        return "silent"
    if beat.status == WorkerStatus.WORKER_STATUS_SHUTTING_DOWN:
        return "stopping"
    return "online"
