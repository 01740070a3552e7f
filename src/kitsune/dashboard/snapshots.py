"""What the board knows: the list of rollouts, and one snapshot for each that somebody looks at. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from kitsune.dashboard.views.looks import look_of, shown_state
from kitsune.dashboard.views.picture import Picture, picture_of
from kitsune.errors import ServerUnavailable
from kitsune.models.plan import Plan
from kitsune.models.progress import Progress
from kitsune.service.following import Ended
from kitsune.service.listing import RolloutRow
from kitsune.service.outcomes import Outcome


@dataclass(frozen=True)
class RolloutList:
    """The rollouts, newest first.

    Attributes:
        rows: As they were at `at`.
        at: When Temporal last said so, or None where it never has.
        trouble: Why this may be out of date, in one sentence, or None.
        version: Grows with every change.
    """

    rows: tuple[RolloutRow, ...] = ()
    at: datetime | None = None
    trouble: str | None = None
    version: int = 0


@dataclass(frozen=True)
class Snapshot:
    """One rollout.

    Attributes:
        row: What Temporal knows without asking a worker.
        at: When Temporal last said so.
        progress: The last that the rollout said of itself; None where no orchestration worker has ever answered.
        outcome: How it ended, or None while it runs.
        plan: What it was started with, or None where that is no plan.
        rollbacks: Those that have undone it since it ended, oldest first.
        trouble: Why this may be out of date, in one sentence, or None.
        version: Grows with every change.
    """

    row: RolloutRow
    at: datetime
    progress: Progress | None = None
    outcome: Outcome | None = None
    plan: Plan | None = None
    rollbacks: Mapping[str, Ended] = field(default_factory=dict)
    trouble: str | None = None
    version: int = 0

    @cached_property
    def picture(self) -> Picture:
        """The rollout as pages, streams and the API show it; made once for all who look."""
        return picture_of(
            self.row,
            progress=self.progress,
            outcome=self.outcome,
            plan=self.plan,
            rollbacks={name: ended.ends for name, ended in self.rollbacks.items()},
        )

    @cached_property
    def cells(self) -> dict[str, str]:
        """The code of each server's state, as cells of a grid have it."""
        return {
            server.server_id: look_of(shown_state(server)).code for server in self.picture.servers
        }


@dataclass
class Contact:
    """When Temporal and a rollout's orchestration worker last answered."""

    address: str
    last: datetime | None = field(default=None)

    def lost(self, error: ServerUnavailable) -> str:
        """Return what to tell people while Temporal does not answer."""
        if not error.silent:
            return f"{error}{_shown(self.last)}"
        if self.last is None:
            return f"Temporal at {self.address} does not answer: trying again all the time"
        return (
            f"Temporal at {self.address} does not answer since {hour(self.last)}: "
            "showing what was known then"
        )


def no_worker(last: datetime | None) -> str:
    """Return what to tell people while Temporal answers, but no orchestration worker does."""
    if last is None:
        return "no orchestration worker answers: showing only what Temporal itself knows"
    return (
        f"no orchestration worker answers since {hour(last)}: showing what was known then; "
        "start one with `kitsune orchestration-worker`"
    )


def hour(time: datetime) -> str:
    """Return a time for a sentence; browsers may be anywhere, so it names its zone."""
    return f"{time.astimezone(UTC):%H:%M:%S} UTC"


def _shown(last: datetime | None) -> str:
    return f"; showing what was known at {hour(last)}" if last else ""
