"""What an orchestration knows while it runs."""

from dataclasses import dataclass, field
from datetime import datetime

from temporalio import workflow

from kitsune.models.plan import Plan
from kitsune.models.progress import Phase
from kitsune.models.requests import (
    AbortRequest,
    AwayServer,
    PlanReference,
    ResolvedStep,
    ServerRequest,
)
from kitsune.models.results import ServerResult, ServerStatus
from kitsune.rollout.bounds import server_result_limit, shorten, step_output_limit
from kitsune.rollout.ledger import Ledger
from kitsune.rollout.limits import starts_at_once
from kitsune.rollout.steps import bytes_of_steps, resolve_steps


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
    phase: Phase = Phase.PREFLIGHT
    wait_until: datetime | None = None
    reference: PlanReference | None = None

    def __post_init__(self) -> None:
        self.steps: list[ResolvedStep] = resolve_steps(self.plan)
        self.ledger = Ledger(self.plan.servers, self.plan.rollout_strategy)
        in_request = 0 if self.reference else bytes_of_steps(self.plan)
        self.starts_at_once = starts_at_once(in_request)

    @property
    def stopped(self) -> bool:
        """Whether nothing more may start."""
        return self.ledger.stop_reason is not None

    def request_for(self, server_id: str) -> ServerRequest:
        """Return what a server's workflow is started with."""
        return ServerRequest(
            rollout_id=self.rollout_id,
            run_id=self.run_id,
            server_id=server_id,
            steps=[] if self.reference else self.steps,
            plan=self.reference,
            heartbeat_timeout=self.plan.heartbeat_timeout,
            undo_on_failure=self.plan.rollback.scope != "none",
            result_limit=server_result_limit(len(self.plan.servers)),
            output_limit=step_output_limit(len(self.steps)),
            begun=self._begun(server_id),
        )

    def _begun(self, server_id: str) -> list[int]:
        """Return the steps that are known to have begun on a server, by index."""
        result = self.results.get(server_id)
        if result is None:
            return []
        if result.status is ServerStatus.SUCCEEDED:
            return [step.index for step in self.steps]
        return [step.index for step in result.steps_executed if step.executions]

    def end_server(self, result: ServerResult) -> None:
        """Note how a server ended."""
        server_id = result.server_id
        self.waiting_for.pop(server_id, None)
        self.results[server_id] = result.model_copy(
            update={
                "batch": self.ledger.batch_of(server_id).index,
                "started_at": result.started_at or self.started.get(server_id),
                "ended_at": result.ended_at or workflow.now(),
            }
        )
        self.ledger.end(server_id, result.status)

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
