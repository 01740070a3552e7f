"""What a rollout says of itself: the `progress` query, the memo, the page in Temporal's UI."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow

from kitsune import names
from kitsune.models.orders import Gate
from kitsune.models.progress import (
    BatchProgress,
    Phase,
    Progress,
    ProgressRequest,
    ServerProgress,
    progress_of_result,
)
from kitsune.models.requests import HeldServer
from kitsune.models.results import COUNTS_AS_FAILED, RolloutResult, ServerResult, ServerStatus
from kitsune.rollout.batches import Batch
from kitsune.rollout.bounds import shorten
from kitsune.rollout.limits import limit_text
from kitsune.rollout.verdict import sentence_of
from kitsune.workflows.state import RolloutState

#: Batches in one answer, around the current one.
_BATCHES_SHOWN = 50
_LARGEST_PAGE = 500
_ERROR_SHOWN = 600
_FAILURES_IN_DETAILS = 20
_ORDERS_SHOWN = 20


def progress_of(
    state: RolloutState | None, request: ProgressRequest, *, rollout_id: str
) -> Progress:
    """Return the answer to a `progress` query."""
    if state is None:
        return Progress(rollout_id=rollout_id)
    servers = state.plan.servers
    start = max(0, request.offset)
    end = start + max(0, min(request.limit, _LARGEST_PAGE))
    current = _current(state)
    return Progress(
        rollout_id=rollout_id,
        name=state.plan.name,
        phase=state.phase,
        total=len(servers),
        counts=dict(Counter(_state_of(state, server) for server in servers)),
        batch=current.index if current else None,
        batches=_batches(state, around=current.index if current else 0),
        batch_count=len(state.ledger.batches),
        failures=state.ledger.failures,
        limit_text=limit_text(len(servers), state.ledger.strategy),
        paused=state.paused,
        gate=_gate(state),
        orders=state.orders[-_ORDERS_SHOWN:],
        deadline=_moment(state, state.plan.deadline),
        rollback_until=state.rollback_until if state.pending else None,
        wait_until=state.wait_until,
        reason=state.ledger.stop_reason,
        actor=state.abort.actor if state.abort else None,
        started_at=state.started_at,
        warnings=state.warnings[:50],
        servers=[_server(state, server) for server in servers[start:end]],
        next_offset=end if end < len(servers) and end > start else None,
    )


def memo_of(state: RolloutState, *, word: str) -> dict[str, Any]:
    """Return the memo that lets anybody list rollouts without a worker; `word` is the state in it."""
    counts = Counter(status.value for status in state.ledger.statuses.values())
    return {
        names.MEMO_ROLLOUT: {
            "name": state.plan.name,
            "state": word,
            "total": len(state.plan.servers),
            "counts": dict(counts),
            "rollbackFailed": sum(1 for found in state.results.values() if found.rollback_failed),
            "rollbackPending": sum(1 for found in state.results.values() if found.rollback_pending),
            **steering_of(state),
        }
    }


def steering_of(state: RolloutState) -> dict[str, Any]:
    """Return what waits for an operator: the part of the memo that changes while a rollout runs."""
    over = state.phase is Phase.DONE
    return {
        "paused": state.paused and not over,
        "gate": state.gate.id if state.gate else None,
        "held": len(state.held),
    }


def details_of(state: RolloutState, result: RolloutResult | None = None) -> str:
    """Return the markdown that Temporal's UI shows on top of the rollout."""
    counts = Counter(_state_of(state, server) for server in state.plan.servers)
    head = sentence_of(result) if result else state.phase.value
    lines = [f"### {state.plan.name}: {head}", ""]
    lines += [f"- {count} {word}" for word, count in counts.items()]
    current = _current(state)
    if current and not result:
        lines.append(
            f"- batch {current.index + 1} of {len(state.ledger.batches)}{' (canary)' if current.canary else ''}"
        )
    lines.append(f"- {limit_text(len(state.plan.servers), state.ledger.strategy)}")
    if state.paused and not result:
        lines.append("- **paused**")
    if state.gate:
        lines.append(f"- waits for approval of **{state.gate.id}**")
    lines += [f"- **{held.server_id}** is held: {_cell(held.error)}" for held in _some_held(state)]
    failed = [found for found in state.results.values() if found.status in COUNTS_AS_FAILED]
    if failed:
        lines += ["", "| server | status | why |", "|---|---|---|"]
        lines += [_row(found) for found in failed[:_FAILURES_IN_DETAILS]]
    if state.orders:
        lines += ["", "| order | by | when | why |", "|---|---|---|---|"]
        lines += [
            f"| {order.verb} {_cell(order.detail)} | {_cell(order.actor)} | {order.at:%Y-%m-%d %H:%M:%S} "
            f"| {_cell(order.reason)} |"
            for order in state.orders[-_ORDERS_SHOWN:]
        ]
    return "\n".join(lines)


def _row(result: ServerResult) -> str:
    return f"| {result.server_id} | {result.status.value} | {_cell(result.error)} |"


def _cell(text: str | None) -> str:
    return (shorten(text, 200) or "").replace("|", "\\|").replace("\n", " ")


def _some_held(state: RolloutState) -> list[HeldServer]:
    return list(state.held.values())[:_FAILURES_IN_DETAILS]


def _gate(state: RolloutState) -> Gate | None:
    if state.gate is None:
        return None
    return state.gate.model_copy(update={"until": _moment(state, state.gate_closes)})


def _moment(state: RolloutState, elapsed: timedelta | None) -> datetime | None:
    """Return when so much active time will have passed."""
    return None if elapsed is None else state.clock.moment_of(elapsed, workflow.now())


def _current(state: RolloutState) -> Batch | None:
    ended = (batch for batch in state.ledger.batches if not state.ledger.has_ended(batch))
    running = next(ended, None)
    if running is not None or state.phase is Phase.PREFLIGHT:
        return running
    started = [
        batch
        for batch in state.ledger.batches
        if any(server in state.started for server in batch.servers)
    ]
    return started[-1] if started else None


def _batches(state: RolloutState, *, around: int) -> list[BatchProgress]:
    start = max(0, min(around - _BATCHES_SHOWN // 2, len(state.ledger.batches) - _BATCHES_SHOWN))
    return [_batch(state, batch) for batch in state.ledger.batches[start : start + _BATCHES_SHOWN]]


def _batch(state: RolloutState, batch: Batch) -> BatchProgress:
    ended = sum(1 for server in batch.servers if server in state.ledger.statuses)
    begun = ended or any(server in state.ledger.in_flight for server in batch.servers)
    word = "done" if ended == len(batch.servers) else "running" if begun else "pending"
    return BatchProgress(
        index=batch.index, canary=batch.canary, servers=len(batch.servers), ended=ended, state=word
    )


def _state_of(state: RolloutState, server: str) -> str:
    for word, servers in (("rollingBack", state.undoing), ("rollbackPending", state.pending)):
        if server in servers:
            return word
    status = state.ledger.statuses.get(server)
    if status is not None:
        return status.value
    absent = () if state.stopped else state.absent
    running = state.ledger.in_flight if server in state.started else ()
    for word, waiting in (
        ("waiting", state.waiting_for),
        ("held", state.held),
        ("waitingForAgent", absent),
        ("running", running),
    ):
        if server in waiting:
            return word
    over = state.stopped and state.phase is not Phase.PREFLIGHT
    return ServerStatus.NOT_STARTED.value if over else "pending"


def _server(state: RolloutState, server: str) -> ServerProgress:
    result = state.results.get(server)
    batch = state.ledger.batch_of(server).index
    if result is None:
        holder, held = state.waiting_for.get(server), state.held.get(server)
        error = f"waits for rollout {holder!r}" if holder else None
        error = f"step {held.step!r}: {held.error}" if held else error
        return ServerProgress(
            server_id=server,
            state=_state_of(state, server),
            batch=batch,
            started_at=state.started.get(server),
            error=shorten(error, _ERROR_SHOWN),
            failed_step=held.step if held else None,
        )
    return progress_of_result(result).model_copy(
        update={
            "state": _state_of(state, server),
            "batch": batch,
            "error": shorten(result.error, _ERROR_SHOWN),
        }
    )
