"""Which servers go together, and in which order."""

import math
from dataclasses import dataclass
from itertools import chain, repeat

from kitsune.models.plan import RolloutStrategy
from kitsune.models.sizes import Size, percent_of

#: Share of the fleet that `Canary` takes first where the plan does not say.
DEFAULT_CANARY_PERCENTAGE = 10.0


@dataclass(frozen=True)
class Batch:
    """Servers that are started together.

    Attributes:
        index: Position in the rollout, from 0.
        servers: Server ids, in the plan's order.
        canary: One failure here stops the rollout, whatever `maxFailures` says.
        wait_after: Seconds to wait when it has gone well and another batch follows.
    """

    index: int
    servers: tuple[str, ...]
    canary: bool
    wait_after: float


def split_into_batches(servers: list[str], strategy: RolloutStrategy) -> list[Batch]:
    """Return the batches of a rollout: every server in exactly one, in the plan's order."""
    canaries = servers[: canary_count(len(servers), strategy)]
    rest = servers[len(canaries) :]
    groups = [(group, True) for group in _canary_groups(canaries, strategy)]
    groups += [(group, False) for group in _groups(rest, strategy, fleet=len(servers))]
    last_canary = sum(1 for _, canary in groups if canary) - 1
    return [
        Batch(
            index=index,
            servers=tuple(group),
            canary=canary,
            wait_after=_wait_after(
                index, last=len(groups) - 1, last_canary=last_canary, strategy=strategy
            ),
        )
        for index, (group, canary) in enumerate(groups)
    ]


def _wait_after(index: int, *, last: int, last_canary: int, strategy: RolloutStrategy) -> float:
    if index == last:
        return 0.0
    delay = strategy.batch_delay_seconds.total_seconds()
    soak = strategy.canary_soak_seconds.total_seconds()
    return max(soak, delay) if index == last_canary else delay


def canary_count(fleet: int, strategy: RolloutStrategy) -> int:
    """Return how many servers go first as canaries: the share, rounded up, at least 1 where there is a share."""
    percentage = strategy.canary_percentage
    if percentage is None:
        percentage = DEFAULT_CANARY_PERCENTAGE if strategy.type == "Canary" else 0.0
    if percentage == 0:
        return 0
    return min(fleet, max(1, math.ceil(round(fleet * percentage / 100, 9))))


def resolve_size(size: Size, fleet: int, *, least: int) -> int:
    """Return the count that a size means for a fleet; percentages round down, but not below `least`."""
    if isinstance(size, int):
        return size
    percentage = percent_of(size) or 0.0
    return max(least, math.floor(round(fleet * percentage / 100, 9)))


def _canary_groups(canaries: list[str], strategy: RolloutStrategy) -> list[list[str]]:
    if strategy.type == "Sequential":
        return [[server] for server in canaries]
    return [canaries] if canaries else []


def _groups(rest: list[str], strategy: RolloutStrategy, *, fleet: int) -> list[list[str]]:
    if not rest:
        return []
    if strategy.type == "Sequential":
        sizes: list[Size] = [1]
    elif strategy.type == "Rolling" or (
        strategy.type == "Canary" and strategy.batch_size is not None
    ):
        written = 1 if strategy.batch_size is None else strategy.batch_size
        sizes = written if isinstance(written, list) else [written]
    else:
        return [rest]
    groups, start = [], 0
    for size in chain(sizes, repeat(sizes[-1])):
        end = start + resolve_size(size, fleet, least=1)
        groups.append(rest[start:end])
        start = end
        if start >= len(rest):
            break
    return groups
