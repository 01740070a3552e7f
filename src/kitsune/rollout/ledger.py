"""The books of a rollout: who may start, who has ended, and whether it has to stop.

The orchestration workflow asks `startable`, says `start` and `end`, and obeys; it decides nothing itself.
"""

from collections import Counter
from collections.abc import Collection, Sequence

from kitsune.models.plan import RolloutStrategy
from kitsune.models.results import COUNTS_AS_FAILED, ServerStatus
from kitsune.models.sizes import Size
from kitsune.rollout.batches import Batch, resolve_size, split_into_batches
from kitsune.rollout.limits import MAX_IN_FLIGHT, failures_allowed

#: How a server can end without having answered.
_SILENT = frozenset({ServerStatus.UNREACHABLE, ServerStatus.SKIPPED})


class Ledger:
    """Folds what happens to servers into who comes next.

    Attributes:
        batches: All batches; every server is in exactly one.
        statuses: How servers ended, by server id.
        in_flight: Servers that were started and have not ended, in the order of their start.
        held: Those of them on which a step failed and a person decides; they count as failed meanwhile.
        aside: Those of them that wait for their agent, and leave their place to others meanwhile.
        on_hold: So much is held elsewhere in the rollout that nothing new may start here.
        defers: These are the books of a part of a rollout: where the rule would stop it, it only starts nothing
            more, because the rollout decides.
        doubt: Why nothing new may start here until the rollout has decided.
        strategy: The plan's, with the limits as they are now.
        stop_reason: Why nothing more may start, or None while the rollout goes on.
    """

    def __init__(
        self,
        servers: Sequence[str],
        strategy: RolloutStrategy,
        *,
        max_unreachable: Size | None = None,
        leaves_behind: bool = False,
    ) -> None:
        """Open the books.

        Args:
            servers: In the order in which they are taken.
            strategy: The plan's.
            max_unreachable: Unreachable servers that are tolerated; None: they count as failed.
            leaves_behind: Servers that wait for their agent hold up no batch, and stop nothing.
        """
        self.servers = list(servers)
        self.batches: list[Batch] = split_into_batches(self.servers, strategy)
        self.statuses: dict[str, ServerStatus] = {}
        self._ends: Counter[ServerStatus] = Counter()
        self.in_flight: dict[str, None] = {}
        self.held: set[str] = set()
        self.aside: set[str] = set()
        self.on_hold = False
        self.defers = False
        self.doubt: str | None = None
        self.stop_reason: str | None = None
        self.strategy = strategy
        self._leaves_behind = leaves_behind
        self._allowed_away = (
            None
            if max_unreachable is None
            else resolve_size(max_unreachable, len(self.servers), least=0)
        )
        self._batch_of = {server: batch for batch in self.batches for server in batch.servers}

    @property
    def failures(self) -> int:
        """How many servers count against `maxFailures`."""
        failed = sum(self._ends[status] for status in COUNTS_AS_FAILED)
        own_budget = self._allowed_away is not None
        return failed - self._ends[ServerStatus.UNREACHABLE] if own_budget else failed

    @property
    def has_room(self) -> bool:
        """Whether one more server may run beside those that do."""
        window = min(self.strategy.max_concurrency or MAX_IN_FLIGHT, MAX_IN_FLIGHT)
        return len(self.in_flight) - len(self.aside) < window

    @property
    def _allowed(self) -> int | None:
        return failures_allowed(len(self.servers), self.strategy)

    @property
    def waits_for_decision(self) -> bool:
        """Whether so much is held that nothing new may start: it could turn out to be one failure too many."""
        if self.on_hold or self.doubt is not None:
            return True
        if not self.held:
            return False
        if any(self._batch_of[server].canary for server in self.held):
            return True
        return self._allowed is not None and self.failures + len(self.held) > self._allowed

    def batch_of(self, server_id: str) -> Batch:
        """Return the batch that a server belongs to."""
        return self._batch_of[server_id]

    def startable(self, batch: Batch) -> list[str]:
        """Return the servers of a batch that may start now, in order; none once the rollout stops."""
        if self.stop_reason is not None or self.waits_for_decision:
            return []
        window = min(self.strategy.max_concurrency or MAX_IN_FLIGHT, MAX_IN_FLIGHT)
        waiting = [
            server
            for server in batch.servers
            if server not in self.statuses and server not in self.in_flight
        ]
        return waiting[: max(0, window - len(self.in_flight) + len(self.aside))]

    def start(self, server_id: str) -> None:
        """Note that a server has been started."""
        self.in_flight[server_id] = None

    def end(self, server_id: str, status: ServerStatus) -> None:
        """Note how a server ended, and stop the rollout where the rule says so."""
        self.in_flight.pop(server_id, None)
        self.held.discard(server_id)
        self.aside.discard(server_id)
        self.statuses[server_id] = status
        self._ends[status] += 1
        if self.stop_reason is None:
            reason = self._reason_to_stop(server_id, status)
            if self.defers:
                self.doubt = self.doubt or reason
            else:
                self.stop_reason = reason

    def give_back(self, server_id: str) -> None:
        """Note that a server that was to be started has not been, and will not be."""
        self.in_flight.pop(server_id, None)

    def stop(self, reason: str) -> None:
        """Stop the rollout for a reason from outside; the first reason stays."""
        self.stop_reason = self.stop_reason or reason

    def set_limits(self, *, max_failures: Size | None, max_concurrency: int | None) -> None:
        """Change the limits that are given, and stop the rollout where the new ones say so."""
        given = {"max_failures": max_failures, "max_concurrency": max_concurrency}
        update = {key: value for key, value in given.items() if value is not None}
        self.strategy = self.strategy.model_copy(update=update)
        allowed, failures = self._allowed, self.failures
        if max_failures is not None and allowed is not None and failures > allowed:
            self.stop(f"{_servers(failures)} failed, {allowed} allowed from now on")

    def allow(self, *, window: int, failures: int | None, unreachable: int | None) -> None:
        """Take what the rollout allows this part of it; a doubt that it has heard of is settled with that.

        Args:
            window: Servers at once.
            failures: Servers of this part that may fail; None: any number.
            unreachable: Those that may be unreachable; None: they count as failed.
        """
        limits = {"max_concurrency": window, "max_failures": -1 if failures is None else failures}
        self.strategy = self.strategy.model_copy(update=limits)
        self._allowed_away = unreachable
        spent = failures is not None and self.failures > failures
        self.doubt = self.doubt if spent else None

    def left_for(self, servers: Collection[str]) -> tuple[int | None, int | None]:
        """Return how many of some servers may fail, and be unreachable, after what has happened to all others."""
        own = Counter(self.statuses.get(server) for server in servers)
        failed = sum(own[status] for status in COUNTS_AS_FAILED)
        allowed, away = self._allowed, self._allowed_away
        if away is not None:
            failed -= own[ServerStatus.UNREACHABLE]
            away -= self._ends[ServerStatus.UNREACHABLE] - own[ServerStatus.UNREACHABLE]
        return (None if allowed is None else allowed - (self.failures - failed)), away

    def has_ended(self, batch: Batch) -> bool:
        """Return whether nothing of a batch is in flight and nothing more of it may start."""
        return self.have_ended(batch.servers)

    def have_ended(self, servers: Sequence[str]) -> bool:
        """Return whether nothing of some servers is in flight and nothing more of them may start."""
        left = self.aside if self._leaves_behind else set()
        if any(server in self.in_flight and server not in left for server in servers):
            return False
        return self.stop_reason is not None or all(
            server in self.statuses or server in left for server in servers
        )

    def close(self) -> None:
        """Give every server that never started its final status."""
        for server in self.servers:
            self.statuses.setdefault(server, ServerStatus.NOT_STARTED)

    def _reason_to_stop(self, server_id: str, status: ServerStatus) -> str | None:
        batch = self._batch_of[server_id]
        if batch.canary and status in COUNTS_AS_FAILED:
            return f"canary {server_id} ended {status.value}"
        failures, allowed = self.failures, self._allowed
        if status in COUNTS_AS_FAILED and allowed is not None and failures > allowed:
            return f"{_servers(failures)} failed, {allowed} allowed (the last: {server_id}, {status.value})"
        if status is ServerStatus.UNREACHABLE and self._allowed_away is not None:
            away = self._ends[status]
            if away > self._allowed_away:
                return f"{_servers(away)} unreachable, {self._allowed_away} allowed (the last: {server_id})"
        if status in _SILENT and self._nobody_answered(batch):
            return f"no server of batch {batch.index + 1} answered"
        return None

    def _nobody_answered(self, batch: Batch) -> bool:
        ends = {self.statuses.get(server) for server in batch.servers}
        if self._leaves_behind or not ends <= _SILENT:
            return False
        # One server that an operator agreed to leave out says nothing about the fleet, unless it was the canary.
        left_out = ends == {ServerStatus.SKIPPED} and len(batch.servers) == 1
        return batch.canary or not left_out


def _servers(count: int) -> str:
    return f"{count} server{'' if count == 1 else 's'}"
