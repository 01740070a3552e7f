"""Answers of many servers about the steps of a plan, put together: who would change in the same way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kitsune.models.checks import CheckResult, CheckStatus
from kitsune.models.requests import ResolvedStep

#: In this order groups are shown: what needs eyes first.
_RANK = {
    status: rank
    for rank, status in enumerate(
        (CheckStatus.FAILS, CheckStatus.DIFFERS, CheckStatus.UNKNOWN, CheckStatus.IDENTICAL)
    )
}


@dataclass(frozen=True)
class ServerCheck:
    """What one server says about every step, by index; or why it says nothing.

    Attributes:
        trouble: Empty where it answered.
        away: It did not answer at all.
    """

    server_id: str
    results: dict[int, CheckResult] = field(default_factory=dict)
    trouble: str = ""
    away: bool = False


@dataclass(frozen=True)
class CheckGroup:
    """Servers for which a step means exactly the same."""

    result: CheckResult
    servers: tuple[str, ...]


@dataclass(frozen=True)
class StepGroups:
    """One step, and the groups of servers, those with a failure or a difference first."""

    index: int
    name: str
    type: str
    groups: tuple[CheckGroup, ...]

    def count(self, status: CheckStatus) -> int:
        """Return for how many servers the step has this status."""
        return sum(len(each.servers) for each in self.groups if each.result.status is status)


def group_checks(steps: Sequence[ResolvedStep], checks: Iterable[ServerCheck]) -> list[StepGroups]:
    """Return the groups of each step; a server that said nothing about a step is unknown there, with the reason."""
    listed = list(checks)
    return [
        StepGroups(step.index, step.name, step.type, tuple(_groups(step.index, listed)))
        for step in steps
    ]


def worst_of(check: ServerCheck) -> CheckStatus:
    """Return how a server stands to a whole plan: identical only where every step is."""
    found = [result.status for result in check.results.values()]
    if check.trouble or not found:
        found.append(CheckStatus.UNKNOWN)
    return min(found, key=lambda status: _RANK[status])


def _groups(index: int, checks: Sequence[ServerCheck]) -> list[CheckGroup]:
    alike: dict[str, tuple[CheckResult, list[str]]] = {}
    for check in checks:
        result = check.results.get(index) or CheckResult.unknown(check.trouble or "no answer")
        key = result.model_dump_json()
        alike.setdefault(key, (result, []))[1].append(check.server_id)
    groups = [CheckGroup(result, tuple(servers)) for result, servers in alike.values()]
    return sorted(groups, key=lambda group: (_RANK[group.result.status], -len(group.servers)))
