"""What happened between two looks at a rollout, one event each: lines for CI logs, JSON for programs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kitsune.cli.console import safe
from kitsune.cli.event_schema import SCHEMA
from kitsune.cli.states import WAITING, look_of
from kitsune.models.progress import (
    BatchProgress,
    Phase,
    Progress,
    ServerProgress,
    progress_of_result,
)
from kitsune.models.results import RolloutResult, ServerStatus

#: States in which a server has not begun: no event of its own.
_BEFORE = frozenset({"pending"})
#: Order of events of one moment.
_RANKS = ("rollout", "warning", "order", "batch", "server", "batchDone", "phase", "gate")


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes:
        kind: `rollout`, `warning`, `order`, `gate`, `phase`, `batch`, `server`, `contact` or `result`.
        text: It in one line, for people.
        fields: It as data.
        quiet: Of interest to programs only.
    """

    time: datetime
    kind: str
    text: str
    fields: dict[str, Any] = field(default_factory=dict)
    quiet: bool = False

    @property
    def line(self) -> str:
        """The event as a line of a log; nothing in it can move a terminal's cursor."""
        return f"{stamp(self.time)} {safe(' | '.join(self.text.splitlines()))}"

    def as_json(self, rollout_id: str) -> dict[str, Any]:
        """Return the event as one object of the stream."""
        return {
            "schema": SCHEMA,
            "time": stamp(self.time),
            "event": self.kind,
            "rolloutId": rollout_id,
            **self.fields,
        }


def stamp(time: datetime) -> str:
    """Return a time as RFC 3339 in UTC, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def events_between(before: Progress | None, after: Progress, *, now: datetime) -> list[Event]:
    """Return what happened between two looks, in order of time; `before` is None at the first look."""
    if after.total == 0:  # not yet accepted: nothing to tell
        return []
    fresh = before is None or before.total == 0
    old = Progress() if before is None or fresh else before
    begun = (after.started_at or now) if fresh else now
    found = [*(_opening(after, begun) if fresh else ())]
    found += _warnings(old, after, begun)
    found += _orders(old, after)
    found += _gate(old, after, now)
    found += _phase(old, after, now, fresh=fresh)
    found += _batches(old, after, now)
    found += _servers(old, after, now)
    return sorted(found, key=lambda event: (event.time, _rank(event)))


def progress_at_end(last: Progress | None, result: RolloutResult) -> Progress:
    """Return the progress that a result means, so that the last changes become events as well."""
    if last is not None and last.total == 0:  # it was over before it could be seen
        last = None
    base = last or Progress(rollout_id=result.rollout_id, name=result.name)
    ends = {server.server_id: progress_of_result(server) for server in result.results}
    if last is None:
        servers = list(ends.values())
    else:
        # Where a result leaves servers out, those have succeeded.
        servers = [ends.get(server.server_id) or _succeeded(server) for server in last.servers]
    return base.model_copy(
        update={
            "phase": Phase.DONE,
            "servers": servers,
            "counts": dict(result.counts),
            "paused": False,
            "gate": None,
            "orders": result.orders or base.orders,
            "total": base.total or sum(result.counts.values()),
            "started_at": base.started_at or result.started_at,
            "batches": [_done(batch) for batch in base.batches],
        }
    )


def _rank(event: Event) -> int:
    done = event.kind == "batch" and event.fields["state"] == "done"
    return _RANKS.index("batchDone" if done else event.kind)


def _opening(after: Progress, begun: datetime) -> Iterator[Event]:
    batches = f"{after.batch_count} batch{'' if after.batch_count == 1 else 'es'}"
    servers = f"{after.total} server{'' if after.total == 1 else 's'}"
    yield Event(
        time=begun,
        kind="rollout",
        text=f"rollout {after.rollout_id} ({after.name}): {servers}"
        + (f" in {batches}, {after.limit_text}" if after.batch_count else ""),
        fields={
            "name": after.name,
            "total": after.total,
            "batchCount": after.batch_count,
            "limit": after.limit_text,
        },
    )


def _warnings(old: Progress, after: Progress, time: datetime) -> Iterator[Event]:
    for warning in after.warnings:
        if warning not in old.warnings:
            yield Event(time, "warning", f"warning: {warning}", {"message": warning})


def _orders(old: Progress, after: Progress) -> Iterator[Event]:
    for order in after.orders:
        if order in old.orders:
            continue
        detail = f" {order.detail}" if order.detail else ""
        why = f": {order.reason}" if order.reason else ""
        fields = {
            "verb": order.verb,
            "actor": order.actor,
            "reason": order.reason,
            "detail": order.detail,
        }
        yield Event(order.at, "order", f"{order.verb}{detail} by {order.actor}{why}", fields)


def _gate(old: Progress, after: Progress, now: datetime) -> Iterator[Event]:
    gate = after.gate
    before = old.gate
    if before and (gate is None or gate.id != before.id):
        yield Event(now, "gate", "", {"gate": before.id, "state": "closed"}, quiet=True)
    if gate and (before is None or before.id != gate.id):
        end = f", stops at {stamp(gate.until)}" if gate.until else ""
        command = f"kitsune approve {after.rollout_id} --gate {gate.id}"
        yield Event(
            gate.opened_at,
            "gate",
            f"gate {gate.id} waits for approval{end}: {command}",
            {
                "gate": gate.id,
                "state": "waiting",
                "until": stamp(gate.until) if gate.until else None,
            },
        )


def _phase(old: Progress, after: Progress, now: datetime, *, fresh: bool) -> Iterator[Event]:
    if old.phase is after.phase and not fresh:
        return
    text = {
        Phase.PREFLIGHT: "asking every server",
        Phase.RUNNING: "running",
        Phase.SOAKING: "canary is good, soaking",
        Phase.WAITING: "waiting before the next batch",
        Phase.APPROVAL: "waiting for an approval",
        Phase.STOPPING: "stopping",
        Phase.ROLLING_BACK: "rolling back",
    }.get(after.phase)
    if text is None:
        return
    until = f" until {stamp(after.wait_until)}" if after.wait_until else ""
    why = f": {after.reason}" if after.reason and after.phase is Phase.STOPPING else ""
    yield Event(
        now,
        "phase",
        f"{text}{until}{why}",
        {
            "phase": after.phase.value,
            "until": stamp(after.wait_until) if after.wait_until else None,
            "reason": after.reason,
        },
        # The batch that starts says so, and the gate that opens.
        quiet=after.phase in (Phase.RUNNING, Phase.APPROVAL),
    )


def _batches(old: Progress, after: Progress, now: datetime) -> Iterator[Event]:
    known = {batch.index: batch.state for batch in old.batches}
    for batch in after.batches:
        before = known.get(batch.index, "pending")
        if before == "pending" and batch.state != "pending":
            starts = [server.started_at for server in _of(after, batch) if server.started_at]
            yield _batch(after, batch, word="started", time=min(starts, default=now))
        if before != "done" and batch.state == "done":
            ends = [server.ended_at for server in _of(after, batch) if server.ended_at]
            yield _batch(after, batch, word="done", time=max(ends, default=now))


def _of(progress: Progress, batch: BatchProgress) -> Iterator[ServerProgress]:
    return (server for server in progress.servers if server.batch == batch.index)


def _batch(after: Progress, batch: BatchProgress, *, word: str, time: datetime) -> Event:
    canary = " (canary)" if batch.canary else ""
    counted = (
        f"{batch.ended} of {batch.servers} ended"
        if word == "done"
        else f"{batch.servers} server{'' if batch.servers == 1 else 's'}"
    )
    return Event(
        time,
        "batch",
        f"batch {batch.index + 1}/{after.batch_count}{canary} {word}: {counted}",
        {
            "batch": batch.index,
            "state": "done" if word == "done" else "running",
            "canary": batch.canary,
            "servers": batch.servers,
            "ended": batch.ended if word == "done" else 0,
        },
    )


def _servers(old: Progress, after: Progress, now: datetime) -> Iterator[Event]:
    known = {server.server_id: server for server in old.servers}
    for server in after.servers:
        before = known.get(server.server_id) or ServerProgress(server_id=server.server_id)
        if server.state in _BEFORE:
            continue
        if (
            before.state in ("pending", *WAITING)
            and server.state not in ("running", *WAITING)
            and server.started_at
        ):
            yield _server(server, state="running", time=server.started_at)
        if before.state != server.state:
            yield _server(server, state=server.state, time=_time_of(server, before, now=now))
        elif _undone(before) != _undone(server):
            yield _server(server, state=server.state, time=now)


def _undone(server: ServerProgress) -> tuple[bool, bool, bool]:
    return server.rolled_back, server.rollback_failed, server.rollback_pending


def _time_of(server: ServerProgress, before: ServerProgress, *, now: datetime) -> datetime:
    """Return when a server came into its state; of a rollback by the rollout only its sight is known."""
    if {"rollingBack", "rollbackPending", "held"} & {server.state, before.state}:
        return now
    return (server.started_at if server.state == "running" else server.ended_at) or now


def _server(server: ServerProgress, *, state: str, time: datetime) -> Event:
    ended = state == server.state
    text = f"{server.server_id} {'started' if state == 'running' else look_of(state).word}"
    fields: dict[str, Any] = {"server": server.server_id, "state": state, "batch": server.batch}
    if ended:
        text += ", rolled back" if server.rolled_back else ""
        text += ", ROLLBACK FAILED" if server.rollback_failed else ""
        text += ", ROLLBACK PENDING" if server.rollback_pending else ""
        text += f": {server.error}" if server.error else ""
        fields |= {
            "error": server.error,
            "failedStep": server.failed_step,
            "rolledBack": server.rolled_back,
            "rollbackFailed": server.rollback_failed,
            "rollbackPending": server.rollback_pending,
        }
    return Event(time, "server", text, fields, quiet=state == ServerStatus.NOT_STARTED)


def _succeeded(server: ServerProgress) -> ServerProgress:
    return server.model_copy(update={"state": ServerStatus.SUCCEEDED.value})


def _done(batch: BatchProgress) -> BatchProgress:
    if batch.state != "running":
        return batch
    return batch.model_copy(update={"state": "done", "ended": batch.servers})
