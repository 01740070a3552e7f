"""What `kitsune doctor` makes of what it has seen: pure, one function for each check."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from kitsune.models.durations import format_duration

LEAST_SERVER: Final = (1, 30, 3)
SHORTEST_RETENTION: Final = timedelta(days=3)
LARGEST_OFFSET: Final = timedelta(seconds=5)
#: Beyond so many agents Temporal's default of 1,200 polls of a kind leaves no room (2 workflow polls each).
AGENTS_AT_DEFAULTS: Final = 550
_POLLS_PER_AGENT = 2
_SHOWN = 5
_LIMITS_FILE = "deploy/temporal/dynamicconfig.yaml"


class Level(StrEnum):
    """How bad a finding is; the worst decides the exit code."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What one check saw.

    Attributes:
        seen: What there is, in words.
        advice: What to do; empty where nothing is to be done.
        servers: All servers concerned; `seen` names only the first few.
    """

    check: str
    level: Level
    seen: str
    advice: str = ""
    servers: tuple[str, ...] = ()


def judge_version(version: str) -> Finding:
    """Judge the version of the Temporal server."""
    numbers = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    if numbers is None:
        return Finding(
            "temporal", Level.WARNING, f"version {version!r} unreadable", "use 1.32 or newer"
        )
    if tuple(map(int, numbers.groups())) < LEAST_SERVER:
        return Finding(
            "temporal", Level.PROBLEM, f"version {version}", "upgrade Temporal: 1.32 or newer"
        )
    return Finding("temporal", Level.OK, f"version {version}")


def judge_retention(retention: timedelta) -> Finding:
    """Judge how long Temporal keeps what has ended."""
    seen = f"keeps ended rollouts for {format_duration(retention)}"
    if retention >= SHORTEST_RETENTION:
        return Finding("namespace", Level.OK, seen)
    return Finding(
        "namespace",
        Level.WARNING,
        seen,
        "give the namespace a retention of 3 days or more: what has vanished cannot be looked up",
    )


def judge_orchestrators(versions: Mapping[str, str], *, polling: int = 0) -> Finding:
    """Judge the orchestration workers that live.

    Args:
        versions: Those that have reported: identity -> version.
        polling: How many have asked for work lately; one that has just started reports later, and one that has just
            ended is still counted.
    """
    if not versions and polling:
        return Finding(
            "orchestrator",
            Level.WARNING,
            f"{polling} asked for work lately, none has reported",
            "workers report every 30 s: ask again in a minute",
        )
    if not versions:
        return Finding(
            "orchestrator",
            Level.PROBLEM,
            "no orchestration worker is known",
            "start one: kitsune orchestration-worker",
        )
    known = sorted(set(versions.values()))
    seen = f"{len(versions)} with version {', '.join(known)}"
    if len(known) > 1:
        return Finding("orchestrator", Level.WARNING, seen, "bring all to one version")
    return Finding("orchestrator", Level.OK, seen)


def judge_polls(agents: int, *, exhausted: bool) -> Finding:
    """Judge the limit of polls by the size of the fleet, as Temporal tells its value to nobody.

    Args:
        agents: Local workers known.
        exhausted: Whether Temporal has answered that a limit is reached.
    """
    # Twice what is needed: restarts and a lost frontend must fit too.
    value = max(2_400, -(-agents * _POLLS_PER_AGENT * 2 // 1_000) * 1_000)
    advice = f"set frontend.namespaceCount to {value} or more, as in {_LIMITS_FILE}"
    if exhausted:
        return Finding("poll limit", Level.PROBLEM, "Temporal answers ResourceExhausted", advice)
    seen = f"{agents} agents need {agents * _POLLS_PER_AGENT} polls of a kind"
    if agents <= AGENTS_AT_DEFAULTS:
        return Finding("poll limit", Level.OK, f"{seen} (default limit: 1200)")
    return Finding("poll limit", Level.WARNING, f"{seen}; the limit cannot be read", advice)


def judge_partitions(partitions: Mapping[str, int]) -> Finding:
    """Judge how many partitions the queues of servers have: queue -> partitions."""
    many = sorted(queue for queue, count in partitions.items() if count > 1)
    if not many:
        return Finding("partitions", Level.OK, "one for each server's queue")
    return Finding(
        "partitions",
        Level.WARNING,
        f"{partitions[many[0]]} for a server's queue ({_some(many)})",
        "set matching.numTaskqueueWritePartitions, then matching.numTaskqueueReadPartitions, "
        f"to 1, as in {_LIMITS_FILE}",
        tuple(many),
    )


def judge_silent(asked: int, silent: Iterable[str]) -> Finding:
    """Judge which servers have not answered a ping."""
    names = sorted(silent)
    if not asked:
        return Finding(
            "agents",
            Level.WARNING,
            "no local worker is known",
            "start one on each server: kitsune local-worker --server-id ID",
        )
    if not names:
        return Finding("agents", Level.OK, f"{asked} of {asked} answer")
    return Finding(
        "agents",
        Level.PROBLEM,
        f"{len(names)} of {asked} do not answer: {_some(names)}",
        "is the local worker running there, with that SERVER_ID, at this Temporal and namespace?",
        tuple(names),
    )


def judge_clocks(offsets: Mapping[str, timedelta]) -> Finding:
    """Judge the clocks of servers: positive is ahead of ours."""
    off = {name: gap for name, gap in offsets.items() if abs(gap) > LARGEST_OFFSET}
    if not off:
        return Finding("clocks", Level.OK, f"{len(offsets)} compared, none is off by over 5 s")
    worst = sorted(off, key=lambda name: (-abs(off[name]), name))
    told = _some([f"{name} ({off[name].total_seconds():+.0f} s)" for name in worst])
    return Finding(
        "clocks", Level.WARNING, f"off: {told}", "set the time there (NTP)", tuple(sorted(off))
    )


def judge_versions(agents: Mapping[str, str], *, orchestrator: str) -> Finding:
    """Judge the agents' versions against the orchestrator's: another minor version is a skew."""
    other = sorted(
        name for name, version in agents.items() if _minor(version) != _minor(orchestrator)
    )
    if not other:
        return Finding("versions", Level.OK, f"agents match {orchestrator}")
    found = ", ".join(sorted({agents[name] or "unknown" for name in other}))
    return Finding(
        "versions",
        Level.WARNING,
        f"{found} against {orchestrator}: {_some(other)}",
        f"bring agents and orchestration workers to the newer of {found} and {orchestrator}",
        tuple(other),
    )


def judge_complaints(complaints: Mapping[str, str]) -> list[Finding]:
    """Return a finding for each trouble that a server names itself."""
    return [
        Finding("agent", Level.PROBLEM, f"{name}: {text}", "mend it on that server", (name,))
        for name, text in sorted(complaints.items())
    ]


def judge_duplicates(hosts: Mapping[str, Sequence[str]]) -> Finding:
    """Judge which servers have live workers on several hosts: server -> hosts."""
    doubled = sorted(name for name, found in hosts.items() if len(set(found)) > 1)
    if not doubled:
        return Finding("duplicates", Level.OK, "no server id is used twice")
    told = _some([f"{name} on {' and '.join(sorted(set(hosts[name])))}" for name in doubled])
    return Finding(
        "duplicates",
        Level.PROBLEM,
        told,
        "stop all but one, and give each host a SERVER_ID of its own",
        tuple(doubled),
    )


def worst_of(findings: Iterable[Finding]) -> Level:
    """Return the level of the worst finding."""
    order = list(Level)
    return max((finding.level for finding in findings), key=order.index, default=Level.OK)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
