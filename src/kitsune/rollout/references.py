"""What a plan says about servers and steps by name or number: it must mean some that are there."""

from collections.abc import Iterable, Iterator

from kitsune.models.plan import Plan
from kitsune.models.problems import Problem


def reference_problems(plan: Plan) -> list[Problem]:
    """Return where a plan speaks of servers or steps that it does not have."""
    problems = list(_strangers(plan, "startAt", plan.start_at))
    last = len(plan.steps) - 1
    for server, step in plan.start_at.items():
        if step > last:
            message = f"there is no step {step}: write 0 to {last}"
            problems.append(Problem(path=f"startAt.{server}", value=str(step), message=message))
    if plan.rollback_of:
        problems += _strangers(plan, "rollbackOf.begun", plan.rollback_of.begun)
        problems += _strangers(plan, "rollbackOf.generations", plan.rollback_of.generations)
    return problems


def _strangers(plan: Plan, path: str, servers: Iterable[str]) -> Iterator[Problem]:
    known = set(plan.servers)
    for server in servers:
        if server not in known:
            message = f"{server!r} is not among the plan's servers"
            yield Problem(path=f"{path}.{server}", value=repr(server), message=message)
