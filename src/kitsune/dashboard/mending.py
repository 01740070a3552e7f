"""What of a rollback that failed or is pending has been mended by a later one: the list alone cannot tell."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kitsune.errors import Conflict, NotFound
from kitsune.models.results import ServerResult
from kitsune.service.again import after_rollback
from kitsune.service.fleet import Fleet
from kitsune.service.following import ended_rollout, later_rollbacks
from kitsune.service.listing import RolloutRow

#: Rollouts that are asked about between two looks at the list; the others are asked about at the next ones.
_AT_ONCE = 5
_ORIGIN = "rollback of "


@dataclass(frozen=True)
class _Left:
    """What is left of the rollbacks of one rollout.

    Attributes:
        rollbacks: Runs of its rollbacks that had ended then.
        stuck: Rollout or rollback -> servers whose rollback has failed, and is pending.
    """

    rollbacks: frozenset[str]
    stuck: Mapping[str, tuple[int, int]] = field(default_factory=dict)


class Mending:
    """Takes from a list what later rollbacks have mended; asks once for each of them."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._known: dict[str, _Left] = {}

    async def mended(self, rows: Sequence[RolloutRow]) -> tuple[RolloutRow, ...]:
        """Return the rows with the numbers of rollbacks that are still failed or pending.

        Raises:
            ServerUnavailable: Temporal is away.
        """
        undoing: dict[str, set[str]] = {}
        for row in rows:
            if row.origin.startswith(_ORIGIN) and not row.open:
                undoing.setdefault(row.origin.removeprefix(_ORIGIN), set()).add(row.run_id)
        stuck = {_first_of(row) for row in rows if _is_stuck(row)} & undoing.keys()
        self._known = {first: left for first, left in self._known.items() if first in stuck}
        stale = [
            first
            for first in sorted(stuck)
            if first not in self._known or self._known[first].rollbacks != undoing[first]
        ]
        for first in stale[:_AT_ONCE]:
            self._known[first] = await self._look(first, frozenset(undoing[first]))
        return tuple(self._row(row) if _is_stuck(row) else row for row in rows)

    async def _look(self, first: str, rollbacks: frozenset[str]) -> _Left:
        try:
            ends = (await ended_rollout(self._fleet, first)).ends
            later = await later_rollbacks(self._fleet, first)
        except (Conflict, NotFound):  # it stays as it says itself
            return _Left(rollbacks)
        for rollback in later.values():
            ends = after_rollback(ends, rollback.ends)
        stuck = {first: _stuck(ends.values())}
        for name, rollback in later.items():
            stuck[name] = _stuck(ends[server] for server in rollback.ends if server in ends)
        return _Left(rollbacks, stuck)

    def _row(self, row: RolloutRow) -> RolloutRow:
        left = self._known.get(_first_of(row))
        if left is None or row.rollout_id not in left.stuck:
            return row
        failed, pending = left.stuck[row.rollout_id]
        return replace(row, rollback_failed=failed, rollback_pending=pending)


def _first_of(row: RolloutRow) -> str:
    """Return the rollout that a row is about: a rollback is about the one that it undoes."""
    return row.origin.removeprefix(_ORIGIN) if row.origin.startswith(_ORIGIN) else row.rollout_id


def _is_stuck(row: RolloutRow) -> bool:
    return not row.open and (row.rollback_failed > 0 or row.rollback_pending > 0)


def _stuck(ends: Iterable[ServerResult]) -> tuple[int, int]:
    found = list(ends)
    return sum(end.rollback_failed for end in found), sum(end.rollback_pending for end in found)
