"""How a large rollout is divided, so that no workflow's history grows with the fleet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kitsune.models.plan import Plan, plan_to_wire
from kitsune.models.results import ServerResult, ServerStatus
from kitsune.rollout.batches import Batch
from kitsune.rollout.bounds import fit_server_result, shorten
from kitsune.rollout.limits import MAX_IN_SHARD

#: Errors of servers in the rollout's own history; the shard has them whole.
_LONGEST_ERROR = 600
#: Bytes of a server's result there: it comes once when the server ends, and once when its shard does.
_KEPT_BYTES = 1_600


@dataclass(frozen=True)
class Shard:
    """Servers of one batch that one workflow looks after."""

    number: int
    batch: int
    servers: tuple[str, ...]


def split_into_shards(batches: Sequence[Batch]) -> list[Shard]:
    """Return the shards of a rollout: no shard has servers of two batches."""
    groups = [
        (batch.index, batch.servers[start : start + MAX_IN_SHARD])
        for batch in batches
        for start in range(0, len(batch.servers), MAX_IN_SHARD)
    ]
    return [Shard(number, batch, servers) for number, (batch, servers) in enumerate(groups)]


def windows(limit: int | None, shards: int) -> list[int]:
    """Return how many servers at once each of the shards that run together may start.

    Their sum is never over `limit`; shards beyond the list wait until one of these has ended.
    """
    if limit is None:
        return [MAX_IN_SHARD] * shards
    full, rest = divmod(min(limit, shards * MAX_IN_SHARD), MAX_IN_SHARD)
    return ([MAX_IN_SHARD] * full + ([rest] if rest else []))[:shards]


def plan_of_shard(plan: Plan, shard: Shard, *, with_params: bool, together: int) -> dict[str, Any]:
    """Return the plan that a shard runs, as JSON: its servers in one batch; when to stop is not its to say.

    Args:
        plan: The whole plan.
        shard: Which part of it.
        with_params: Whether the steps carry their params; else the servers read them from the rollout.
        together: How many shards of the batch may be rolled back at once.
    """
    wire = plan_to_wire(plan)
    whole = plan.rollout_strategy
    strategy = {"maxFailures": -1, "onStop": whole.on_stop, "onFailure": whole.on_failure}
    undone = wire.get("rollbackOf", {})
    at_once = max(1, plan.rollback.max_concurrency // together)
    steps = wire["steps"] if with_params else [step | {"params": {}} for step in wire["steps"]]
    unreachable = wire.get("unreachable", {})
    unreachable.pop("maxUnreachable", None)  # the rollout counts
    for key, of_servers in (("startAt", wire), ("begun", undone), ("generations", undone)):
        if key in of_servers:
            of_servers[key] = {k: v for k, v in of_servers[key].items() if k in shard.servers}
    return wire | {
        "servers": list(shard.servers),
        "steps": steps,
        "rolloutStrategy": strategy,
        "rollback": wire.get("rollback", {}) | {"maxConcurrency": at_once},
    }


def without_outputs(result: ServerResult) -> ServerResult:
    """Return a server's result as the rollout keeps it: what a later undo and the last recap need."""
    if result.status is ServerStatus.SUCCEEDED and not result.rollback_failed:
        return result.model_copy(update={"steps_executed": []})
    steps = [
        step.model_copy(
            update={
                "outputs": {},
                "error": shorten(step.error, _LONGEST_ERROR),
                "undo_error": shorten(step.undo_error, _LONGEST_ERROR),
            }
        )
        for step in result.steps_executed
    ]
    smaller = result.model_copy(
        update={"steps_executed": steps, "error": shorten(result.error, _LONGEST_ERROR)}
    )
    return fit_server_result(smaller, _KEPT_BYTES)
