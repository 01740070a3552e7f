"""The plan of a rollout that follows another one: its retry, or its undoing. Pure; `kitsune.cli` asks and starts."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kitsune.errors import Conflict
from kitsune.models.plan import Plan, RollbackOf, RolloutStrategy, Unreachable, plan_to_wire
from kitsune.models.progress import Progress
from kitsune.models.results import RolloutResult, ServerResult, ServerStatus

#: What `kitsune retry` takes where nobody says: all that did not end well.
RETRIED = ("failed", "unreachable", "unknown", "notStarted", "cancelled")
#: Statuses in which a server has run no step.
_UNTOUCHED = frozenset({ServerStatus.UNREACHABLE, ServerStatus.SKIPPED, ServerStatus.NOT_STARTED})


@dataclass(frozen=True)
class Again:
    """What to start.

    Attributes:
        plan: As JSON; without servers there is nothing to start.
        servers: Those that it runs on.
        remarks: Who was left out, and why, one sentence each.
        stuck: Servers left out of a rollback although an earlier one has failed there, or is pending.
    """

    plan: dict[str, Any]
    servers: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()


def ends_of(plan: Plan, result: RolloutResult) -> dict[str, ServerResult]:
    """Return how every server of a plan ended; a large result leaves out those that succeeded.

    Raises:
        Conflict: It leaves out others as well, so nobody can tell who is who.
    """
    listed = {server.server_id: server for server in result.results}
    succeeded = sum(1 for server in result.results if server.status is ServerStatus.SUCCEEDED)
    if result.results_omitted > result.counts.get(ServerStatus.SUCCEEDED.value, 0) - succeeded:
        raise Conflict(
            f"the result of rollout {result.rollout_id!r} is too large to name every server: "
            "name those that are meant with --servers in a new `kitsune run`"
        )
    return {
        server: listed.get(server) or ServerResult(server_id=server, success=True)
        for server in plan.servers
    }


def ends_of_progress(plan: Plan, progress: Progress | None) -> dict[str, ServerResult]:
    """Return how the servers of a rollout that was cut short stand, as far as anybody knows."""
    seen = {server.server_id: server for server in progress.servers} if progress else {}
    ends = {}
    for server_id in plan.servers:
        server = seen.get(server_id)
        status = ServerStatus.UNKNOWN
        if server and server.state in set(ServerStatus):
            status = ServerStatus(server.state)
        elif server and server.state in ("pending", "waiting", "waitingForAgent"):
            status = ServerStatus.NOT_STARTED
        ends[server_id] = ServerResult(
            server_id=server_id,
            success=status is ServerStatus.SUCCEEDED,
            status=status,
            rolled_back=server.rolled_back if server else False,
            rollback_failed=server.rollback_failed if server else False,
            rollback_pending=server.rollback_pending if server else False,
        )
    return ends


def after_rollback(
    ends: Mapping[str, ServerResult], undone: Mapping[str, ServerResult]
) -> dict[str, ServerResult]:
    """Return how servers stand after a later rollback of the same rollout has ended like that."""
    found = dict(ends)
    for server_id, later in undone.items():
        if server_id not in found:
            continue
        tried = later.status not in _UNTOUCHED and later.status is not ServerStatus.CANCELLED
        failed = tried and not later.success
        if tried or later.rollback_pending:
            found[server_id] = found[server_id].model_copy(
                update={
                    "rolled_back": later.success,
                    "rollback_failed": failed,
                    "rollback_pending": later.rollback_pending,
                }
            )
    return found


def left_to_undo(ends: Mapping[str, ServerResult]) -> int:
    """Return how many servers a rollback would take, without those whose earlier one has failed or is pending."""
    return sum(1 for end in ends.values() if _not_undone(end, retry=False) is None)


def retry_of(
    plan: Plan,
    ends: Mapping[str, ServerResult],
    *,
    only: Collection[str] = RETRIED,
    servers: Collection[str] = (),
    from_failed: bool = False,
) -> Again:
    """Return the plan once more, on the servers that did not end well.

    Args:
        plan: What the first rollout was started with.
        ends: How its servers ended.
        only: Statuses of the servers to take.
        servers: Servers to take, whatever `only` says of others; empty: all.
        from_failed: Begin at the step that failed, on servers that were not rolled back.

    Raises:
        Conflict: A server is not in the plan.
    """
    chosen = _chosen(plan, servers)
    taken = [server for server in chosen if ends[server].status.value in only]
    start_at = {server: index for server, index in plan.start_at.items() if server in taken}
    if from_failed:
        start_at |= {
            server: index for server in taken if (index := _failed_step(ends[server])) is not None
        }
    left = [server for server in chosen if server not in taken]
    remarks = (
        tuple(f"{server} {ends[server].status.value}: left out" for server in left)
        if servers
        else ()
    )
    again = plan.model_copy(update={"servers": taken, "start_at": start_at})
    return Again(_wire(again, drop=() if start_at else ("startAt",)), tuple(taken), remarks)


def rollback_of(
    plan: Plan,
    ends: Mapping[str, ServerResult],
    *,
    rollout_id: str,
    run_id: str,
    servers: Collection[str] = (),
    retry: bool = False,
    force: bool = False,
    generation: int = 0,
) -> Again:
    """Return the plan that undoes a rollout, on the servers where something began.

    Its servers stand in the order of the plan; the rollout itself takes the newest first.

    Args:
        plan: What the first rollout was started with.
        ends: How its servers stand.
        rollout_id: The first rollout.
        run_id: Its run.
        servers: Servers to take; empty: all.
        retry: Only servers whose rollback has failed or is pending; otherwise only the others.
        force: Overwrite what was changed since.
        generation: Which try it is.

    Raises:
        Conflict: A server is not in the plan.
    """
    taken, remarks, stuck = [], [], []
    for server in _chosen(plan, servers):
        why = _not_undone(ends[server], retry=retry)
        if why and _is_stuck(ends[server]):
            stuck.append(server)
        if why is None:
            taken.append(server)
        elif why:
            remarks.append(f"{server} {why}: left out")
    begun = {server: _begun(plan, ends[server]) for server in taken}
    generations = {
        server: [step.generation for step in ends[server].steps_executed]
        for server in taken
        if any(step.generation for step in ends[server].steps_executed)
    }
    undoing = plan.model_copy(
        update={
            "servers": taken,
            "start_at": {
                server: index for server, index in plan.start_at.items() if server in taken
            },
            "rollout_strategy": _undoing_strategy(plan.rollout_strategy),
            "unreachable": Unreachable(policy="wait", timeout=plan.rollback.deadline),
            "rollback_of": RollbackOf(
                rollout_id=rollout_id,
                run_id=run_id,
                force=force,
                generation=generation,
                begun=begun,
                generations=generations,
            ),
        }
    )
    drop = ("deadline", *(() if undoing.start_at else ("startAt",)))
    return Again(_wire(undoing, drop=drop), tuple(taken), tuple(remarks), tuple(stuck))


def _chosen(plan: Plan, servers: Collection[str]) -> list[str]:
    strange = sorted(set(servers) - set(plan.servers))
    if strange:
        raise Conflict(f"not in this rollout: {', '.join(strange[:5])}")
    return [server for server in plan.servers if not servers or server in servers]


def _failed_step(end: ServerResult) -> int | None:
    if end.rolled_back or end.rollback_failed or not end.steps_executed:
        return None
    last = end.steps_executed[-1]
    return None if last.success else last.index


def _is_stuck(end: ServerResult) -> bool:
    return end.rollback_failed or end.rollback_pending


def _not_undone(end: ServerResult, *, retry: bool) -> str | None:
    """Return why a server has nothing to undo, or None where it has; empty: nobody needs to be told."""
    if _is_stuck(end):
        word = "pending" if end.rollback_pending else "failed"
        return None if retry else f"has a rollback that is {word} (--retry tries it again)"
    if end.rolled_back:
        return "" if retry else "is already rolled back"
    if retry:
        return ""
    nothing = end.status is not ServerStatus.SUCCEEDED and not _executed(end.steps_executed)
    if end.status in _UNTOUCHED or (nothing and end.status is not ServerStatus.UNKNOWN):
        return ""
    return None


def _executed(steps: Iterable[Any]) -> int:
    return sum(1 for step in steps if step.executions)


def _begun(plan: Plan, end: ServerResult) -> int:
    """Return how many steps began, from the server's first one on; 0 leaves it to the server's journal."""
    if end.status is ServerStatus.SUCCEEDED:
        return len(plan.steps) - plan.start_at.get(end.server_id, 0)
    return _executed(end.steps_executed)


def _undoing_strategy(strategy: RolloutStrategy) -> RolloutStrategy:
    """Return how a rollout is undone: in its batches, without waits, gates and canaries, and to the end."""
    kind = strategy.type
    if kind == "Canary":
        kind = "Rolling" if strategy.batch_size is not None else "Parallel"
    undoing = RolloutStrategy(type=kind, max_failures=-1)
    kept = {
        "batch_size": strategy.batch_size if kind == "Rolling" else None,
        "max_concurrency": strategy.max_concurrency,
    }
    given = {key: value for key, value in kept.items() if value is not None}
    return undoing.model_copy(update=given)


def _wire(plan: Plan, *, drop: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in plan_to_wire(plan).items() if key not in drop}
