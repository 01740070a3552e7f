"""What is known of a rollout that another one is to follow: its plan, its ends, and who has followed it so far."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from kitsune.errors import Conflict, NotFound
from kitsune.models.plan import Plan
from kitsune.models.results import ServerResult, ServerStatus
from kitsune.service.again import (
    RETRIED,
    Again,
    after_rollback,
    ends_of,
    ends_of_progress,
    retry_of,
    rollback_of,
)
from kitsune.service.fleet import Fleet
from kitsune.service.listing import RolloutRow
from kitsune.service.outcomes import Finished, Refused
from kitsune.service.starting import Origin

_LONGEST_BASE = 180


@dataclass(frozen=True)
class Ended:
    """A rollout that has ended.

    Attributes:
        run_id: Its first run, by which servers keep what they did for it.
        ends: How every server of its plan stands.
    """

    rollout_id: str
    run_id: str
    plan: Plan
    ends: dict[str, ServerResult]


@dataclass(frozen=True)
class Follower:
    """The rollout that may come next.

    Attributes:
        number: Which retry or rollback it is, from 1.
    """

    rollout_id: str
    number: int


@dataclass(frozen=True)
class Next:
    """A rollout that can be started now, because another one has ended.

    Attributes:
        verb: `retry` or `rollback`.
        again: Its plan; without servers there is nothing to start.
        rollout_id: The id that it may have.
        first: The rollout that it follows.
    """

    verb: str
    again: Again
    rollout_id: str
    first: Ended

    def origin(self, *, actor: str, reason: str) -> Origin:
        """Return what to record with it."""
        return Origin(
            self.verb, self.first.rollout_id, self.first.run_id, actor=actor, reason=reason
        )


async def prepare_retry(
    fleet: Fleet,
    rollout_id: str,
    *,
    servers: Collection[str] = (),
    only: Collection[str] = RETRIED,
    from_failed: bool = False,
) -> Next:
    """Return the retry of an ended rollout; the arguments are those of `again.retry_of`.

    Raises:
        Conflict: It is a rollback, was refused, or a retry of it still runs.
    """
    first = await ended_rollout(fleet, rollout_id)
    if first.plan.rollback_of:
        raise Conflict(
            f"rollout {rollout_id!r} is a rollback: "
            f"try it again with `kitsune rollback {first.plan.rollback_of.rollout_id} --retry`"
        )
    follower, now = await next_retry(fleet, first)
    again = retry_of(now.plan, now.ends, only=only, servers=servers, from_failed=from_failed)
    return Next("retry", again, follower.rollout_id, first)


async def prepare_rollback(
    fleet: Fleet,
    rollout_id: str,
    *,
    servers: Collection[str] = (),
    retry: bool = False,
    force: bool = False,
) -> Next:
    """Return the rollback of an ended rollout; the arguments are those of `again.rollback_of`.

    Raises:
        Conflict: It is a rollback itself, was refused, or a rollback of it still runs.
    """
    first = await ended_rollout(fleet, rollout_id)
    undone = first.plan.rollback_of
    if undone and not retry:
        raise Conflict(
            f"rollout {rollout_id!r} is itself a rollback: to try it again, add --retry; "
            f"to have the new state back, run the plan of {undone.rollout_id} again"
        )
    if undone:  # what it could not undo belongs to the rollout that it was for
        servers = servers or tuple(first.plan.servers)
        first = await ended_rollout(fleet, undone.rollout_id)
    follower, now = await next_rollback(fleet, first)
    again = rollback_of(
        now.plan,
        now.ends,
        rollout_id=first.rollout_id,
        run_id=undone.run_id if undone else first.run_id,
        servers=servers,
        retry=retry,
        force=force,
        generation=follower.number if retry or force else 0,
    )
    return Next("rollback", again, follower.rollout_id, first)


async def ended_rollout(fleet: Fleet, rollout_id: str) -> Ended:
    """Return what is known of a rollout that has ended.

    Raises:
        Conflict: It never began.
    """
    row = await fleet.find(rollout_id)
    outcome = await fleet.outcome(rollout_id)
    if isinstance(outcome, Refused):
        raise Conflict(
            f"rollout {rollout_id!r} was refused, and no server was touched: "
            "mend its plan and start it with `kitsune run`"
        )
    plan = await fleet.plan_of(rollout_id)
    if isinstance(outcome, Finished):
        ends = ends_of(plan, outcome.result)
    else:
        ends = ends_of_progress(plan, await fleet.last_progress(rollout_id))
    return Ended(rollout_id, row.run_id, plan, ends)


async def next_retry(fleet: Fleet, first: Ended) -> tuple[Follower, Ended]:
    """Return the retry that may come next, and how servers stand after those that there were."""
    follower, earlier = await _followers(fleet, first.rollout_id, "retry")
    ends = dict(first.ends)
    for retry in earlier:
        ends |= {
            server: end
            for server, end in (await ended_rollout(fleet, retry)).ends.items()
            if server in ends and end.status is not ServerStatus.NOT_STARTED
        }
    return follower, Ended(first.rollout_id, first.run_id, first.plan, ends)


async def next_rollback(fleet: Fleet, first: Ended) -> tuple[Follower, Ended]:
    """Return the rollback that may come next, and how servers stand after those that there were."""
    follower, earlier = await _followers(fleet, first.rollout_id, "rollback")
    ends = first.ends
    for rollback in earlier:
        ends = after_rollback(ends, (await ended_rollout(fleet, rollback)).ends)
    return follower, Ended(first.rollout_id, first.run_id, first.plan, ends)


async def later_rollbacks(
    fleet: Fleet, rollout_id: str, *, known: Mapping[str, Ended] | None = None
) -> dict[str, Ended]:
    """Return the rollbacks of a rollout that have ended, by their ids, oldest first; `known` ones are not asked for.

    Raises:
        Conflict: One of them cannot be told server by server.
    """
    found = dict(known or {})
    for row in await _rows_of_followers(fleet, rollout_id, "rollback"):
        if row.open or row.rollout_id in found:
            continue
        ended = await ended_rollout(fleet, row.rollout_id)
        # Anybody may have given that id to something else.
        if ended.plan.rollback_of and ended.plan.rollback_of.rollout_id == rollout_id:
            found[row.rollout_id] = ended
    return found


async def _followers(fleet: Fleet, rollout_id: str, verb: str) -> tuple[Follower, list[str]]:
    """Return the first id that is free, and the ended rollouts that have the ones before it.

    Raises:
        Conflict: One of them still runs.
    """
    rows = await _rows_of_followers(fleet, rollout_id, verb)
    for row in rows:
        if row.open:
            raise Conflict(f"a {verb} of {rollout_id!r} is running: kitsune watch {row.rollout_id}")
    number = len(rows) + 1
    earlier = [row.rollout_id for row in rows]
    return Follower(_follower_id(rollout_id, verb, number), number), earlier


async def _rows_of_followers(fleet: Fleet, rollout_id: str, verb: str) -> list[RolloutRow]:
    rows: list[RolloutRow] = []
    while True:
        try:
            rows.append(await fleet.find(_follower_id(rollout_id, verb, len(rows) + 1)))
        except NotFound:
            return rows


def _follower_id(rollout_id: str, verb: str, number: int) -> str:
    return f"{rollout_id[:_LONGEST_BASE]}-{verb}-{number}"
