"""The books of a rollout: who may start, who has ended, and whether it has to stop.

The orchestration workflow asks `startable`, says `start` and `end`, and obeys; it decides nothing itself.
"""

from collections.abc import Sequence

from kitsune.models.plan import RolloutStrategy
from kitsune.models.results import COUNTS_AS_FAILED, ServerStatus
from kitsune.rollout.batches import Batch, split_into_batches
from kitsune.rollout.limits import MAX_IN_FLIGHT, failures_allowed

#: How a server can end without having answered.
_SILENT = frozenset({ServerStatus.UNREACHABLE, ServerStatus.SKIPPED})


class Ledger:
    """Folds what happens to servers into who comes next.

    Attributes:
        batches: All batches; every server is in exactly one.
        statuses: How servers ended, by server id.
        failures: How many servers count against `maxFailures`.
        in_flight: Servers that were started and have not ended, in the order of their start.
        window: So many servers at once.
        stop_reason: Why nothing more may start, or None while the rollout goes on.
    """

    def __init__(self, servers: Sequence[str], strategy: RolloutStrategy) -> None:
        self.servers = list(servers)
        self.batches: list[Batch] = split_into_batches(self.servers, strategy)
        self.statuses: dict[str, ServerStatus] = {}
        self.failures = 0
        self.in_flight: dict[str, None] = {}
        self.stop_reason: str | None = None
        self._allowed = failures_allowed(len(self.servers), strategy)
        self.window = min(strategy.max_concurrency or MAX_IN_FLIGHT, MAX_IN_FLIGHT)
        self._batch_of = {server: batch for batch in self.batches for server in batch.servers}

    def batch_of(self, server_id: str) -> Batch:
        """Return the batch that a server belongs to."""
        return self._batch_of[server_id]

    def startable(self, batch: Batch) -> list[str]:
        """Return the servers of a batch that may start now, in order; none once the rollout stops."""
        if self.stop_reason is not None:
            return []
        waiting = [
            server
            for server in batch.servers
            if server not in self.statuses and server not in self.in_flight
        ]
        return waiting[: max(0, self.window - len(self.in_flight))]

    def start(self, server_id: str) -> None:
        """Note that a server has been started."""
        self.in_flight[server_id] = None

    def end(self, server_id: str, status: ServerStatus) -> None:
        """Note how a server ended, and stop the rollout where the rule says so."""
        self.in_flight.pop(server_id, None)
        self.statuses[server_id] = status
        self.failures += status in COUNTS_AS_FAILED
        if self.stop_reason is None:
            self.stop_reason = self._reason_to_stop(server_id, status)

    def give_back(self, server_id: str) -> None:
        """Note that a server that was to be started has not been, and will not be."""
        self.in_flight.pop(server_id, None)

    def stop(self, reason: str) -> None:
        """Stop the rollout for a reason from outside; the first reason stays."""
        self.stop_reason = self.stop_reason or reason

    def has_ended(self, batch: Batch) -> bool:
        """Return whether nothing of a batch is in flight and nothing more of it may start."""
        if any(server in self.in_flight for server in batch.servers):
            return False
        return self.stop_reason is not None or all(
            server in self.statuses for server in batch.servers
        )

    def close(self) -> None:
        """Give every server that never started its final status."""
        for server in self.servers:
            self.statuses.setdefault(server, ServerStatus.NOT_STARTED)

    def _reason_to_stop(self, server_id: str, status: ServerStatus) -> str | None:
        batch = self._batch_of[server_id]
        if batch.canary and status in COUNTS_AS_FAILED:
            return f"canary {server_id} ended {status.value}"
        failures = self.failures
        if status in COUNTS_AS_FAILED and self._allowed is not None and failures > self._allowed:
            noun = "server" if failures == 1 else "servers"
            return f"{failures} {noun} failed, {self._allowed} allowed (the last: {server_id}, {status.value})"
        if self._nobody_answered(batch):
            return f"no server of batch {batch.index + 1} answered"
        return None

    def _nobody_answered(self, batch: Batch) -> bool:
        ends = {self.statuses.get(server) for server in batch.servers}
        if not ends <= _SILENT:
            return False
        # One server that an operator agreed to leave out says nothing about the fleet, unless it was the canary.
        left_out = ends == {ServerStatus.SKIPPED} and len(batch.servers) == 1
        return batch.canary or not left_out
