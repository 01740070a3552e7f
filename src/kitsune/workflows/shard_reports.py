"""What a shard tells its rollout, and when: signals are few, for a rollout takes 10,000 of them at most."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError

from kitsune import names
from kitsune.models.requests import HeldServer
from kitsune.models.results import ServerResult
from kitsune.models.shards import ShardAnswer, ShardReport, ShardSituation
from kitsune.rollout.shards import reports_allowed, without_outputs
from kitsune.workflows.state import RolloutState

#: A report waits for more to tell, the longer the shard runs.
_SHORTEST_PAUSE = timedelta(seconds=1)
_LONGEST_PAUSE = timedelta(seconds=30)
_PAUSE_SHARE = 10


class ShardReports:
    """The reports of one shard.

    Attributes:
        held: Servers that are newly held.
    """

    def __init__(self, state: RolloutState, *, number: int, fleet: int) -> None:
        """Take a shard's state, its number, and how many servers the whole rollout has."""
        self._state = state
        self._number = number
        self._fleet = fleet
        self.held: list[HeldServer] = []
        self._told: dict[str, ServerResult] = {}
        self._told_starts: set[str] = set()
        self._situation = ShardSituation()
        self._sent = 0
        self._closed = False
        # The rollout counts from the last end that it has heard of.
        deadline = state.plan.rollout_strategy.progress_deadline
        self._longest_pause = min(_LONGEST_PAUSE, deadline / 4) if deadline else _LONGEST_PAUSE

    def close(self) -> None:
        """Let `keep_sending` end."""
        self._closed = True

    async def keep_sending(self) -> None:
        """Send what is new, now and then; what the rollout has to decide about, at once."""
        began = workflow.now()
        while not self._closed:
            await workflow.wait_condition(lambda: self._closed or self._has_news())
            pause = (workflow.now() - began) / _PAUSE_SHARE
            await self._wait_unless_urgent(max(min(pause, self._longest_pause), _SHORTEST_PAUSE))
            await workflow.wait_condition(
                lambda: self._closed or self._is_urgent() or self._may_send()
            )
            if not self._closed:
                await self.send()

    async def send(
        self, *, answer: ShardAnswer | None = None, ran: bool = False, undone: bool = False
    ) -> None:
        """Tell the rollout what is new.

        Args:
            answer: What the servers answered.
            ran: Nothing more of the shard will run.
            undone: Nothing is left to undo but what is away.
        """
        self._sent += 1
        situation = self._look(undone=undone)
        held, self.held = self.held, []
        report = ShardReport(
            number=self._number,
            started=self._take_starts(),
            held=held,
            ended=self.take_changes(),
            answer=answer,
            ran=ran,
            situation=situation if undone or situation != self._situation else None,
        )
        self._situation = situation
        parent = workflow.info().parent
        rollout = workflow.get_external_workflow_handle(
            self._state.rollout_id, run_id=parent.run_id if parent else None
        )
        try:
            await rollout.signal(names.SHARD_REPORT, report)
        except FailureError:  # it is gone, and our own cancellation is on its way
            workflow.logger.info("the rollout %s is gone", self._state.rollout_id)

    def take_changes(self) -> list[ServerResult]:
        """Return the results that have come or changed since they were last taken, without outputs."""
        changed = [
            result
            for server, result in self._state.results.items()
            if result is not self._told.get(server)
        ]
        self._told.update({result.server_id: result for result in changed})
        return [without_outputs(result) for result in changed]

    def _take_starts(self) -> dict[str, datetime]:
        new = self._new_starts()
        self._told_starts.update(new)
        return new

    def _new_starts(self) -> dict[str, datetime]:
        started = self._state.started.items()
        return {server: at for server, at in started if server not in self._told_starts}

    def _look(self, *, undone: bool) -> ShardSituation:
        state = self._state
        return ShardSituation(
            absent=sorted(state.absent),
            aside=sorted(state.ledger.aside),
            waiting_for=dict(state.waiting_for),
            doubt=state.ledger.doubt,
            undone=undone,
            pending=sorted(state.pending),
            rollback_until=state.rollback_until,
        )

    async def _wait_unless_urgent(self, pause: timedelta) -> None:
        try:
            await workflow.wait_condition(
                lambda: self._closed or self._is_urgent(), timeout=pause, timeout_summary="report"
            )
        except TimeoutError:
            return

    def _has_news(self) -> bool:
        state = self._state
        return (
            self._is_urgent()
            or len(state.results) > len(self._told)
            or len(state.started) > len(self._told_starts)
            or self._look(undone=False) != self._situation
        )

    def _is_urgent(self) -> bool:
        """Return whether the rollout has to decide something, and this shard waits for that."""
        doubt = self._state.ledger.doubt
        return bool(self.held) or (doubt is not None and doubt != self._situation.doubt)

    def _may_send(self) -> bool:
        ended = len(self._state.ledger.statuses)
        return self._sent < reports_allowed(ended, fleet=self._fleet)
