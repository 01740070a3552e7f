"""What went wrong in a rollout, by cause: 37 servers with one error are one entry."""

from dataclasses import dataclass

from kitsune.dashboard.views.looks import FAILED, Look, look_of, shown_state
from kitsune.dashboard.views.picture import Picture
from kitsune.models.printable import safe
from kitsune.models.progress import ServerProgress
from kitsune.rollout.causes import group_by_cause

#: Causes on the page, and names of each.
_CAUSES = 20
_NAMES = 12


@dataclass(frozen=True)
class Failure:
    """One cause.

    Attributes:
        text: The error of its first server, safe to show.
        servers: The first few of them.
        more: How many are not named.
        undone: How many of them are rolled back.
    """

    look: Look
    text: str
    step: str
    servers: tuple[str, ...]
    count: int
    more: int
    undone: int


@dataclass(frozen=True)
class Failures:
    """All causes, and how many are not shown."""

    shown: tuple[Failure, ...]
    more: int


def failures_of(picture: Picture) -> Failures:
    """Return the causes of a rollout's failures, the most frequent first."""
    broken = {
        server.server_id: server
        for server in picture.servers
        if shown_state(server) in FAILED and server.error
    }
    causes = group_by_cause((name, server.error or "") for name, server in broken.items())
    found = [_failure(cause.text, [broken[name] for name in cause.servers]) for cause in causes]
    return Failures(tuple(found[:_CAUSES]), max(0, len(found) - _CAUSES))


def _failure(text: str, servers: list[ServerProgress]) -> Failure:
    return Failure(
        look=look_of(shown_state(servers[0])),
        text=safe(text, lines=True),
        step=servers[0].failed_step or "",
        servers=tuple(server.server_id for server in servers[:_NAMES]),
        count=len(servers),
        more=max(0, len(servers) - _NAMES),
        undone=sum(server.rolled_back for server in servers),
    )
