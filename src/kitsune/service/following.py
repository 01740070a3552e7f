"""What is known of a rollout that another one is to follow: its plan, its ends, and who has followed it so far."""

from dataclasses import dataclass

from kitsune.errors import Conflict, NotFound
from kitsune.models.plan import Plan
from kitsune.models.results import ServerResult, ServerStatus
from kitsune.service.again import after_rollback, ends_of, ends_of_progress
from kitsune.service.fleet import Fleet
from kitsune.service.outcomes import Finished, Refused

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


async def _followers(fleet: Fleet, rollout_id: str, verb: str) -> tuple[Follower, list[str]]:
    """Return the first id that is free, and the ended rollouts that have the ones before it.

    Raises:
        Conflict: One of them still runs.
    """
    earlier: list[str] = []
    while True:
        number = len(earlier) + 1
        follower = Follower(f"{rollout_id[:_LONGEST_BASE]}-{verb}-{number}", number)
        try:
            row = await fleet.find(follower.rollout_id)
        except NotFound:
            return follower, earlier
        if row.open:
            raise Conflict(
                f"a {verb} of {rollout_id!r} is running: kitsune watch {follower.rollout_id}"
            )
        earlier.append(follower.rollout_id)
