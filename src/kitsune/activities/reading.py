"""Activities on a server's own queue that only read: which output its steps have left, and pages of it."""

import asyncio
import base64
from collections.abc import Callable, Sequence
from typing import Any

from temporalio import activity

from kitsune import names
from kitsune.activities.agent import Agent
from kitsune.agent.journal import Entry
from kitsune.agent.logs import find_output
from kitsune.models.logs import (
    LISTED,
    PAGE_BYTES,
    LogEntry,
    LogList,
    LogListRequest,
    LogPage,
    LogRequest,
    LogState,
)

_UNKNOWN_STEP = (
    "this server knows no such step of this rollout: it has not begun here, "
    "or was longer ago than the server keeps records"
)
_REMOVED = (
    "its output was removed from the server, to make room or because of its age "
    "(KITSUNE_OUTPUT_LIMIT, KITSUNE_UNDO_RETENTION)"
)


class ServerReading:
    """What can be read of one server; nothing here changes anything."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    @property
    def all(self) -> list[Callable[..., Any]]:
        """Every activity, for the worker."""
        return [self.list_logs, self.read_log]

    @activity.defn(name=names.LIST_LOGS)
    async def list_logs(self, request: LogListRequest) -> LogList:
        """Say which steps of a rollout have begun here, and what output there is of each."""
        rows = await self._agent.journal.list_rollout(request.rollout_id, limit=LISTED + 1)
        mine = [row for row in rows if _is_of(row, request.run_id)]
        listed = mine[:LISTED]
        entries = await asyncio.to_thread(lambda: [self._listed(row) for row in listed[::-1]])
        return LogList(
            server_id=self._agent.server_id, entries=entries, omitted=len(mine) - len(listed)
        )

    @activity.defn(name=names.READ_LOG)
    async def read_log(self, request: LogRequest) -> LogPage:
        """Return a page of a step's output, or say why there is none."""
        rows = await self._agent.journal.list_rollout(request.rollout_id, limit=LISTED)
        row = chosen(rows, request)
        if row is None:
            return LogPage(
                server_id=self._agent.server_id,
                step=request.step,
                step_index=request.step_index,
                phase=request.phase,
                stream=request.stream,
                state=LogState.NONE,
                note=_UNKNOWN_STEP,
                ended=False,
            )
        return await asyncio.to_thread(self._page, row, request)

    def _page(self, row: Entry, request: LogRequest) -> LogPage:
        attempt = row.executions if request.attempt is None else request.attempt
        log = find_output(self._operations, row.id, attempt, request.stream)
        page = LogPage(
            server_id=self._agent.server_id,
            step=row.step,
            step_index=row.step_index,
            phase=row.phase,
            attempt=attempt,
            executions=row.executions,
            stream=request.stream,
            ended=row.state != "started" or attempt < row.executions,
        )
        if log is None:
            state, note = _why_none(row, attempt)
            return page.model_copy(update={"state": state, "note": note})
        chunk = log.read(request.offset, max(1, min(request.limit, PAGE_BYTES)))
        return page.model_copy(
            update={
                "data": base64.b64encode(chunk.data).decode(),
                "offset": chunk.offset,
                "skipped": chunk.skipped,
                "size": log.size,
            }
        )

    def _listed(self, row: Entry) -> LogEntry:
        logs = [
            find_output(self._operations, row.id, row.executions, stream)
            for stream in ("stdout", "stderr")
        ]
        outcome = row.outcome if row.state != "started" else None
        sizes = [log.size if log else None for log in logs]
        return LogEntry(
            step=row.step,
            step_index=row.step_index,
            step_type=row.step_type or "",
            phase=row.phase,
            status=outcome.status if outcome else "running",
            error=outcome.error if outcome else None,
            executions=row.executions,
            started_at=row.started_at,
            ended_at=row.ended_at,
            stdout=sizes[0],
            stderr=sizes[1],
            state=LogState.KEPT if any(logs) else _why_none(row, row.executions)[0],
        )

    @property
    def _operations(self) -> Any:
        return self._agent.state / "operations"


def chosen(rows: Sequence[Entry], request: LogRequest) -> Entry | None:
    """Return the row that a request means: of those that fit, the one that began last.

    Args:
        rows: The rollout's, the last first.
        request: What was asked.
    """
    return next(
        (
            row
            for row in rows
            if _is_of(row, request.run_id)
            and row.phase == request.phase
            and (not request.step or row.step == request.step)
            and (request.step_index is None or row.step_index in (None, request.step_index))
        ),
        None,
    )


def _is_of(row: Entry, run_id: str) -> bool:
    """Return whether a row is of a rollout's run; a row of before runs were recorded is of any."""
    return not run_id or row.run_id in (None, run_id)


def _why_none(row: Entry, attempt: int) -> tuple[LogState, str]:
    if not 1 <= attempt <= row.executions:
        times = "once" if row.executions == 1 else f"{row.executions} times"
        return LogState.NONE, f"this step was executed {times}: there is no execution {attempt}"
    outputs = row.outcome.outputs if row.outcome else {}
    if "stdout" in outputs or "stderr" in outputs:
        return LogState.REMOVED, _REMOVED
    if row.state == "started":
        return LogState.NONE, "it has printed nothing so far"
    return LogState.NONE, f"a step of type {row.step_type or 'unknown'} keeps no output here"
