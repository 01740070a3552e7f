"""What a rollout amounts to: its status, its result, its exit code."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from kitsune.models.results import (
    COUNTS_AS_FAILED,
    RolloutResult,
    RolloutStatus,
    ServerResult,
    ServerStatus,
)

#: Fleets up to this size have every server in the result; larger ones only those that did not succeed.
WHOLE_RESULT_SERVERS = 500


def status_of(results: Sequence[ServerResult], *, stopped: bool, aborted: bool) -> RolloutStatus:
    """Return how a rollout with these results ended."""
    if aborted:
        return RolloutStatus.ABORTED
    if stopped:
        return RolloutStatus.STOPPED
    statuses = {result.status for result in results}
    if ServerStatus.FAILED in statuses:
        return RolloutStatus.FAILED
    return (
        RolloutStatus.SUCCEEDED
        if statuses == {ServerStatus.SUCCEEDED}
        else RolloutStatus.INCOMPLETE
    )


def summarize(
    results: Sequence[ServerResult],
    *,
    rollout_id: str,
    name: str,
    reason: str | None,
    actor: str | None,
    aborted: bool,
    started_at: datetime,
    ended_at: datetime,
    warnings: Sequence[str] = (),
) -> RolloutResult:
    """Return the result of a rollout from the results of all its servers, in the plan's order."""
    status = status_of(results, stopped=reason is not None, aborted=aborted)
    counts = Counter(result.status.value for result in results)
    listed = list(results)
    if len(listed) > WHOLE_RESULT_SERVERS:
        listed = [
            result
            for result in listed
            if result.status is not ServerStatus.SUCCEEDED
            or result.rollback_failed
            or result.rollback_pending
        ]
    return RolloutResult(
        success=status is RolloutStatus.SUCCEEDED,
        servers_patched=sum(1 for result in results if result.success and not result.rolled_back),
        servers_failed=sum(1 for result in results if result.status in COUNTS_AS_FAILED),
        results=listed,
        results_omitted=len(results) - len(listed),
        rollout_id=rollout_id,
        name=name,
        status=status,
        reason=reason,
        actor=actor,
        counts={state.value: counts[state.value] for state in ServerStatus if counts[state.value]},
        rolled_back=sum(1 for result in results if result.rolled_back),
        rollback_failed=sum(1 for result in results if result.rollback_failed),
        rollback_pending=sum(1 for result in results if result.rollback_pending),
        started_at=started_at,
        ended_at=ended_at,
        warnings=list(warnings),
    )


def exit_code_of(result: RolloutResult) -> int:
    """Return the exit code that a rollout's result means; the worst wins: 6, 5, 3, 7, 4, 0."""
    if result.rollback_failed or result.rollback_pending:
        return 6
    if result.status is RolloutStatus.STOPPED:
        return 5
    if result.counts.get(ServerStatus.FAILED.value):
        return 3
    if result.status is RolloutStatus.ABORTED:
        return 7
    return 0 if result.success else 4


def sentence_of(result: RolloutResult) -> str:
    """Return a rollout's end in one sentence: the message of its failure, the first line of its recap."""
    total = sum(result.counts.values())
    parts = ", ".join(f"{count} {_WORDS[state]}" for state, count in result.counts.items())
    undone = f"; {result.rolled_back} rolled back" if result.rolled_back else ""
    stuck = f"; {result.rollback_failed} could not be rolled back" if result.rollback_failed else ""
    noun = "rollback" if result.rollback_pending == 1 else "rollbacks"
    stuck += f"; {result.rollback_pending} {noun} pending" if result.rollback_pending else ""
    why = f": {result.reason}" if result.reason else ""
    if result.rollback_of:
        done = result.counts.get(ServerStatus.SUCCEEDED.value, 0)
        if done == total:
            return f"rolled back {done} of {total}{why}"
        stuck += f"; rolled back {done} of {total}"
    return f"{result.status.value}{why} ({parts} of {total}{undone}{stuck})"


_WORDS = {
    ServerStatus.SUCCEEDED.value: "succeeded",
    ServerStatus.FAILED.value: "failed",
    ServerStatus.UNREACHABLE.value: "unreachable",
    ServerStatus.UNKNOWN.value: "unknown",
    ServerStatus.CANCELLED.value: "cancelled",
    ServerStatus.SKIPPED.value: "skipped",
    ServerStatus.NOT_STARTED.value: "not started",
}
