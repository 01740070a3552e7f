"""What an orchestration knows while it runs."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from temporalio import workflow

from kitsune import names
from kitsune.models.orders import Gate, Order, OrderRecord
from kitsune.models.plan import Plan
from kitsune.models.progress import Phase
from kitsune.models.requests import (
    AbortRequest,
    AwayServer,
    HeldServer,
    PlanReference,
    ResolvedStep,
    ServerRequest,
)
from kitsune.models.results import ServerResult, ServerStatus
from kitsune.rollout.bounds import server_result_limit, shorten, step_output_limit
from kitsune.rollout.clock import ActiveClock
from kitsune.rollout.ledger import Ledger
from kitsune.rollout.limits import starts_at_once
from kitsune.rollout.steps import bytes_of_steps, resolve_steps
from kitsune.rollout.targets import pending_result

#: Orders kept for the result.
_ORDERS_KEPT = 200
#: How a server ends in a rollout that undoes another one, when its agent was away.
_NOT_UNDONE = frozenset({ServerStatus.UNREACHABLE, ServerStatus.UNKNOWN})


@dataclass
class RolloutState:
    """One rollout: the plan, the books, and how each server ended.

    Attributes:
        waiting_for: Servers that another rollout holds, with its id.
        undoing: Servers that are being rolled back by this orchestration.
        asked_at: When each server last answered.
        away: Servers whose agent was given up, by server id.
        reference: Where servers read the steps; None where the steps are sent to them.
        abort: The operator's order to end it all, or None.
        orders: What operators ordered and the rollout obeyed, oldest first.
        drain: Whether servers in flight finish their plan while the rollout is paused.
        gate: What waits for an approval now.
        gate_closes: The active time at which it gives up waiting.
        opened: Gates that were approved.
        held: Servers on which a step failed and a person decides.
        decided: The last decision about a server that is not held any more.
        unsettled: Servers whose hold was ended by a stop: nobody decided, and nothing was undone.
        absent: Servers that did not answer and are waited for when their batch comes.
        pending: Servers whose rollback waits for them.
        rollback_until: Until when it does.
        undo_rounds: How often nothing else was left to undo but those.
        quick_types: Step types that are done in milliseconds.
        changes: Grows with everything that may let the rollout go on.
    """

    plan: Plan
    rollout_id: str
    run_id: str
    started_at: datetime
    warnings: list[str] = field(default_factory=list)
    results: dict[str, ServerResult] = field(default_factory=dict)
    started: dict[str, datetime] = field(default_factory=dict)
    waiting_for: dict[str, str] = field(default_factory=dict)
    undoing: set[str] = field(default_factory=set)
    asked_at: dict[str, datetime] = field(default_factory=dict)
    away: dict[str, AwayServer] = field(default_factory=dict)
    abort: AbortRequest | None = None
    orders: list[OrderRecord] = field(default_factory=list)
    drain: bool = False
    gate: Gate | None = None
    gate_closes: timedelta | None = None
    opened: set[str] = field(default_factory=set)
    held: dict[str, HeldServer] = field(default_factory=dict)
    decided: dict[str, str] = field(default_factory=dict)
    unsettled: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    pending: set[str] = field(default_factory=set)
    rollback_until: datetime | None = None
    undo_rounds: int = 0
    changes: int = 0
    phase: Phase = Phase.PREFLIGHT
    wait_until: datetime | None = None
    reference: PlanReference | None = None
    quick_types: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.steps: list[ResolvedStep] = resolve_steps(self.plan)
        servers = self.plan.servers
        self.ledger = Ledger(
            servers[::-1] if self.plan.rollback_of else servers,  # undone newest first
            self.plan.rollout_strategy,
            max_unreachable=self.plan.unreachable.max_unreachable,
            leaves_behind=self.plan.rollback_of is not None,
        )
        self.clock = ActiveClock(self.started_at)
        in_request = 0 if self.reference else bytes_of_steps(self.plan)
        self.starts_at_once = starts_at_once(in_request)

    @property
    def stopped(self) -> bool:
        """Whether nothing more may start."""
        return self.ledger.stop_reason is not None

    @property
    def paused(self) -> bool:
        """Whether an operator holds the rollout."""
        return self.clock.paused

    @property
    def may_start(self) -> bool:
        """Whether one more server may start now."""
        ledger = self.ledger
        return ledger.has_room and not self.paused and not ledger.waits_for_decision

    @property
    def is_over(self) -> bool:
        """Whether nothing can be steered any more but the undoing."""
        return self.phase in (Phase.ROLLING_BACK, Phase.DONE)

    @property
    def cancels(self) -> bool:
        """Whether servers in flight are ended because the rollout stops."""
        wanted = self.plan.rollout_strategy.on_stop == "cancel" or self.abort is not None
        return self.stopped and wanted

    def first_step(self, server_id: str) -> int:
        """Return the index of the step at which a server begins."""
        return self.plan.start_at.get(server_id, 0)

    def record(self, verb: str, order: Order, detail: str = "") -> None:
        """Keep an order that was obeyed."""
        self.changes += 1
        self.orders.append(
            OrderRecord(
                verb=verb,
                actor=order.actor,
                reason=order.reason,
                at=workflow.now(),
                detail=detail,
            )
        )
        del self.orders[:-_ORDERS_KEPT]

    def request_for(self, server_id: str) -> ServerRequest:
        """Return what a server's workflow is started with."""
        undone = self.plan.rollback_of
        return ServerRequest(
            rollout_id=undone.rollout_id if undone else self.rollout_id,
            run_id=undone.run_id if undone else self.run_id,
            server_id=server_id,
            steps=[] if self.reference else self.steps,
            plan=self.reference,
            quick_types=self.quick_types,
            heartbeat_timeout=self.plan.heartbeat_timeout,
            undo_on_failure=self.plan.rollback.scope != "none",
            result_limit=server_result_limit(len(self.plan.servers)),
            output_limit=step_output_limit(len(self.steps)),
            begun=self._begun(server_id),
            generations=self._generations(server_id),
            first_step=self.first_step(server_id),
            on_failure=self.plan.rollout_strategy.on_failure,
            refuse_conflicts=undone is not None and not undone.force,
            rollback_generation=undone.generation if undone else 0,
        )

    def _generations(self, server_id: str) -> dict[int, int]:
        """Return the steps of a server that were run again on an operator's word, by index."""
        undone, first = self.plan.rollback_of, self.first_step(server_id)
        if undone:
            found = list(enumerate(undone.generations.get(server_id, []), first))
        else:
            result = self.results.get(server_id)
            steps = result.steps_executed if result else []
            found = [(step.index, step.generation) for step in steps]
        return {index: generation for index, generation in found if generation}

    def _begun(self, server_id: str) -> list[int]:
        """Return the steps that are known to have begun on a server, by index."""
        first = self.first_step(server_id)
        if self.plan.rollback_of:
            count = self.plan.rollback_of.begun.get(server_id, 0)
            return list(range(first, first + count))
        result = self.results.get(server_id)
        if result is None:
            return []
        if result.status is ServerStatus.SUCCEEDED:
            return [step.index for step in self.steps if step.index >= first]
        return [step.index for step in result.steps_executed if step.executions]

    def end_server(self, result: ServerResult) -> None:
        """Note how a server ended."""
        server_id = result.server_id
        if self.plan.rollback_of and result.status in _NOT_UNDONE and not result.rollback_pending:
            result = pending_result(
                result,
                rollout_id=self.plan.rollback_of.rollout_id,
                waited=self.plan.unreachable.patience,
            )
        if self._is_unsettled(result):
            self.unsettled.add(server_id)
        self.waiting_for.pop(server_id, None)
        self.absent.discard(server_id)
        self.held.pop(server_id, None)
        self.changes += 1
        self.results[server_id] = result.model_copy(
            update={
                "batch": self.ledger.batch_of(server_id).index,
                "started_at": result.started_at or self.started.get(server_id),
                "ended_at": result.ended_at or workflow.now(),
            }
        )
        self.ledger.end(server_id, result.status)

    def _is_unsettled(self, result: ServerResult) -> bool:
        asks = self.plan.rollout_strategy.on_failure == "ask"
        if not asks or result.status is not ServerStatus.FAILED or not result.steps_executed:
            return False
        skipped = self.decided.get(result.server_id) == names.SKIP
        return not skipped and not any(step.undone for step in result.steps_executed)

    def replace_result(self, result: ServerResult) -> None:
        """Note what a server's result has become since it ended, or how it ended where that is news."""
        known = self.results.get(result.server_id)
        if known is None:
            self.end_server(result)
        else:
            self.results[result.server_id] = result.model_copy(update={"batch": known.batch})

    def end_without_work(self, server_id: str, status: ServerStatus, error: str | None) -> None:
        """Note the end of a server of which no result came."""
        self.end_server(
            ServerResult(
                server_id=server_id,
                success=False,
                status=status,
                error=shorten(error),
                ended_at=workflow.now(),
            )
        )

    def hold_server(self, held: HeldServer) -> None:
        """Note that a server waits for a decision."""
        if held.server_id in self.ledger.in_flight:
            self.held[held.server_id] = held
            self.decided.pop(held.server_id, None)
            self.ledger.held.add(held.server_id)
            self.changes += 1

    def release_server(self, server_id: str, verb: str) -> None:
        """Note that somebody decided about a held server."""
        del self.held[server_id]
        self.decided[server_id] = verb
        self.ledger.held.discard(server_id)
        self.changes += 1

    def final_results(self) -> list[ServerResult]:
        """Close the books and return every server's result, in the plan's order."""
        self.ledger.close()
        return [
            self.results.get(server_id)
            or ServerResult(
                server_id=server_id,
                success=False,
                status=ServerStatus.NOT_STARTED,
                error=f"not started: {self.ledger.stop_reason}" if self.stopped else None,
                batch=self.ledger.batch_of(server_id).index,
            )
            for server_id in self.plan.servers
        ]
