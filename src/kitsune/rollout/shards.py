"""How a large rollout is divided, so that no workflow's history grows with the fleet."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kitsune.models.plan import Plan, plan_to_wire
from kitsune.models.results import ServerResult, ServerStatus
from kitsune.rollout.batches import Batch
from kitsune.rollout.bounds import fit_server_result, shorten
from kitsune.rollout.limits import MAX_IN_SHARD

#: Errors of servers in the rollout's own history; the shard has them whole.
_LONGEST_ERROR = 600
#: Bytes of a server's result there: it comes once when the server ends, and once when it was undone.
_KEPT_BYTES = 1_600
#: Reports of all shards together, as far as servers' ends call for them: a rollout takes 10,000 signals at most,
#: and each costs its history about four events.
_REPORTS_OF_ENDS = 5_000
#: Reports of each shard beside those.
_REPORTS_ALWAYS = 10


@dataclass(frozen=True)
class Shard:
    """Servers that one workflow looks after: batches that follow each other, or a part of one large batch.

    Attributes:
        number: Which shard this is, from 0.
        first: Index of its first batch.
        groups: The servers of each of its batches.
        canary: Its batches are canaries: one failure there stops the rollout.
    """

    number: int
    first: int
    groups: tuple[tuple[str, ...], ...]
    canary: bool = False

    @cached_property
    def servers(self) -> tuple[str, ...]:
        """All its servers, in the order of the rollout."""
        return tuple(server for group in self.groups for server in group)

    @property
    def last(self) -> int:
        """Index of its last batch."""
        return self.first + len(self.groups) - 1

    def has(self, batch: Batch) -> bool:
        """Return whether it has servers of a batch."""
        return self.first <= batch.index <= self.last

    def servers_of(self, batch: Batch) -> tuple[str, ...]:
        """Return its servers of one of its batches."""
        return self.groups[batch.index - self.first]


def split_into_shards(batches: Sequence[Batch]) -> list[Shard]:
    """Return the shards of a rollout: a large batch has several, small ones that follow each other share one.

    Two shards that follow each other have more servers than one may have, unless one of them is the canary's
    or belongs to a large batch: 10,000 servers never make many more than a hundred shards.
    """
    shards: list[Shard] = []
    for batch in batches:
        last = shards[-1] if shards else None
        if last and _takes(last, batch, large=len(batches[last.first].servers) > MAX_IN_SHARD):
            groups = (*last.groups, batch.servers)
            shards[-1] = Shard(last.number, last.first, groups, last.canary)
            continue
        for start in range(0, len(batch.servers), MAX_IN_SHARD):
            piece = batch.servers[start : start + MAX_IN_SHARD]
            shards.append(Shard(len(shards), batch.index, (piece,), batch.canary))
    return shards


def _takes(shard: Shard, batch: Batch, *, large: bool) -> bool:
    together = len(shard.servers) + len(batch.servers)
    return not large and shard.canary == batch.canary and together <= MAX_IN_SHARD


def windows(limit: int | None, shards: int) -> list[int]:
    """Return how many servers at once each of the shards that run together may start.

    Their sum is never over `limit`; shards beyond the list wait until one of these has ended.
    """
    if limit is None:
        return [MAX_IN_SHARD] * shards
    full, rest = divmod(min(limit, shards * MAX_IN_SHARD), MAX_IN_SHARD)
    return ([MAX_IN_SHARD] * full + ([rest] if rest else []))[:shards]


def reports_allowed(ended: int, *, fleet: int) -> int:
    """Return how many reports a shard may have sent by the time so many of its servers have ended.

    Args:
        ended: Servers of the shard.
        fleet: Servers of the whole rollout.
    """
    return _REPORTS_ALWAYS + math.floor(ended * min(1.0, _REPORTS_OF_ENDS / fleet))


def plan_of_shard(plan: Plan, shard: Shard, *, with_params: bool, together: int) -> dict[str, Any]:
    """Return the plan that a shard runs, as JSON: its servers in its batches; when to stop is not its to say.

    Args:
        plan: The whole plan.
        shard: Which part of it.
        with_params: Whether the steps carry their params; else the servers read them from the rollout.
        together: How many shards may be rolled back at once.
    """
    own = set(shard.servers)
    # Whoever undoes begins with the last one. The other servers go first: there may be thousands to turn into JSON.
    servers = list(shard.servers)[:: -1 if plan.rollback_of else 1]
    wire = plan_to_wire(plan.model_copy(update={"servers": servers}))
    undone = wire.get("rollbackOf", {})
    at_once = max(1, plan.rollback.max_concurrency // together)
    steps = wire["steps"] if with_params else [step | {"params": {}} for step in wire["steps"]]
    unreachable = wire.get("unreachable", {})
    # How many are left, the rollout says when the shard's turn comes.
    unreachable.pop("maxUnreachable", None)
    for key, of_servers in (("startAt", wire), ("begun", undone), ("generations", undone)):
        if key in of_servers:
            of_servers[key] = {k: v for k, v in of_servers[key].items() if k in own}
    return wire | {
        "steps": steps,
        "rolloutStrategy": _strategy_of(plan, shard.groups),
        "rollback": wire.get("rollback", {}) | {"maxConcurrency": at_once},
    }


def _strategy_of(plan: Plan, groups: Sequence[Sequence[str]]) -> dict[str, Any]:
    whole = plan.rollout_strategy
    strategy: dict[str, Any] = {
        "maxFailures": -1,
        "onStop": whole.on_stop,
        "onFailure": whole.on_failure,
    }
    if whole.progress_deadline is not None:  # it decides how often the shard reports
        strategy["progressDeadline"] = whole.progress_deadline.total_seconds()
    if len(groups) == 1:
        return strategy
    return strategy | {
        "type": "Rolling",
        "batchSize": [len(group) for group in groups],
        "batchDelaySeconds": whole.batch_delay_seconds.total_seconds(),
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
