"""Which servers a stopped rollout has to undo, and what an undo makes of a server's result."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from kitsune.models.durations import format_duration
from kitsune.models.requests import AbortRequest
from kitsune.models.results import ServerResult, ServerStatus
from kitsune.rollout.batches import Batch

#: Servers that ended in the middle of the plan and did not undo themselves.
_HALF_WAY = frozenset({ServerStatus.CANCELLED, ServerStatus.UNKNOWN})


def servers_to_undo(
    batches: Sequence[Batch],
    results: Mapping[str, ServerResult],
    *,
    scope: str,
    stopped: bool,
    abort: AbortRequest | None,
    unsettled: Collection[str] = (),
) -> list[list[str]]:
    """Return the servers to roll back, newest batch first; servers that failed have undone themselves.

    Stopped by the rule: scope `server` undoes what was left half-way, `fleet` what had succeeded as well.
    Aborted: everything that started, or nothing, as the operator said.

    Args:
        batches: In the order in which they ran.
        results: How servers ended.
        scope: The plan's.
        stopped: Whether the rollout stopped.
        abort: The operator's order to end it all.
        unsettled: Servers that failed and were held, and that nobody had decided about: they have undone nothing.
    """
    wanted = _statuses_to_undo(scope=scope, stopped=stopped, abort=abort)
    left = wanted | {ServerStatus.FAILED} if wanted else wanted
    groups = []
    for batch in reversed(batches):
        group = [
            server
            for server in batch.servers
            if _needs_undo(results.get(server), left if server in unsettled else wanted)
        ]
        if group:
            groups.append(group)
    return groups


def undone_result(result: ServerResult, undo: ServerResult) -> ServerResult:
    """Return a server's result with what its rollback did."""
    by_index = {outcome.index: outcome for outcome in undo.steps_executed}
    steps = [
        step.model_copy(
            update={
                "undone": by_index[step.index].undone,
                "undo_error": by_index[step.index].undo_error,
            }
        )
        if step.index in by_index
        else step
        for step in result.steps_executed
    ]
    failed = undo.rollback_failed or not undo.success
    error = f"rollback: {undo.error}" if failed and undo.error else None
    return result.model_copy(
        update={
            "rolled_back": undo.rolled_back and not failed,
            "rollback_failed": failed,
            "steps_executed": steps,
            "error": "; ".join(text for text in (result.error, error) if text) or None,
        }
    )


def pending_result(result: ServerResult, *, rollout_id: str, waited: timedelta) -> ServerResult:
    """Return the result of a server that stayed away for longer than its rollback waits."""
    error = (
        f"its rollback is pending: no local worker answered for {format_duration(waited)}; when it is back, "
        f"run `kitsune rollback {rollout_id} --server {result.server_id} --retry`"
    )
    return result.model_copy(
        update={
            "rollback_pending": True,
            "error": "; ".join(text for text in (result.error, error) if text),
        }
    )


def result_of_undo(undo: ServerResult) -> ServerResult:
    """Return a server's result in a rollout that undoes another one: undone is what succeeds there."""
    if not undo.rollback_failed:
        return undo
    return undo.model_copy(update={"success": False, "status": ServerStatus.FAILED})


def _statuses_to_undo(
    *, scope: str, stopped: bool, abort: AbortRequest | None
) -> frozenset[ServerStatus]:
    if abort is not None:
        everything = _HALF_WAY | {ServerStatus.SUCCEEDED, ServerStatus.FAILED}
        return everything if abort.rollback else frozenset()
    if not stopped or scope == "none":
        return frozenset()
    fleet = {ServerStatus.SUCCEEDED} if scope == "fleet" else set()
    return _HALF_WAY | fleet


def _needs_undo(result: ServerResult | None, wanted: frozenset[ServerStatus]) -> bool:
    if result is None or result.status not in wanted:
        return False
    touched = bool(result.steps_executed) or result.outputs_truncated
    touched = touched or result.status in (ServerStatus.SUCCEEDED, ServerStatus.UNKNOWN)
    done = result.rolled_back or result.rollback_failed or result.rollback_pending
    return touched and not done
