"""What a plan would do, and in which order: everything that can be told before anything runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from kitsune.models.base import WireModel
from kitsune.models.durations import LONGEST, Duration, format_duration
from kitsune.models.plan import Plan
from kitsune.rollout.batches import resolve_size, split_into_batches
from kitsune.rollout.gates import gate_after
from kitsune.rollout.limits import MAX_IN_FLIGHT, failures_allowed, stop_text
from kitsune.rollout.steps import resolve_steps


@dataclass(frozen=True, kw_only=True)
class StepFacts:
    """What a step's handler says of it.

    Attributes:
        executions: How often it may run where the plan does not say.
        undo: `full`, `partial` or `none`.
        undo_note: Why it cannot be undone, as in "script without rollbackCommand"; None where it can.
    """

    executions: int
    undo: str
    undo_note: str | None = None


class BatchPreview(WireModel):
    """One batch.

    Attributes:
        wait_after_seconds: Durable wait (soak or delay) before the next batch.
        gate: What a person has to approve before the next batch, as in `batch-2`.
    """

    index: int
    canary: bool
    servers: list[str]
    wait_after_seconds: float = 0.0
    gate: str | None = None


class StepPreview(WireModel):
    """One step, with every default filled in.

    Attributes:
        executions: How often it may run; None: only the servers know the type.
        undo: `full`, `partial`, `none`, or None: only the servers know.
        undo_note: Why it cannot be undone.
        stops_server: A failure ends the plan on its server.
    """

    index: int
    name: str
    type: str
    timeout: Duration
    executions: int | None = None
    undo: str | None = None
    undo_note: str | None = None
    stops_server: bool = True


class Preview(WireModel):
    """A plan, laid out.

    Attributes:
        failures_allowed: Failed servers that are tolerated; None for any number.
        limit_text: The stop rule in words.
        at_once: Servers at once, at most.
        on_failure: `rollback`, or `ask`: a failed server is held until a person decides.
        approval_timeout: Longest wait for an approval; None: for ever.
        deadline: Longest time of the whole rollout.
        progress_deadline: Longest time without any server that ends.
        unreachable: What happens with servers that do not answer: `fail`, `skip` or `wait`.
        unreachable_timeout: So long they may stay silent; None: for ever.
        unreachable_allowed: Unreachable servers that are tolerated; None: they count as failed.
        rollback_deadline: So long a rollback waits for a server that is away.
        rollback_of: The rollout that this one undoes.
    """

    name: str
    servers: int
    strategy: str
    failures_allowed: int | None
    limit_text: str
    on_stop: str
    at_once: int
    rollback: str
    on_failure: str = "rollback"
    approval_timeout: Duration | None = None
    deadline: Duration | None = None
    progress_deadline: Duration | None = None
    unreachable: str = "fail"
    unreachable_timeout: Duration | None = None
    unreachable_allowed: int | None = None
    rollback_deadline: Duration | None = None
    rollback_of: str | None = None
    batches: list[BatchPreview]
    steps: list[StepPreview]
    warnings: list[str] = Field(default_factory=list)
    unknown_types: list[str] = Field(default_factory=list)


def preview_plan(
    plan: Plan,
    *,
    facts: Sequence[StepFacts | None],
    warnings: Sequence[str] = (),
    unknown_types: Sequence[str] = (),
) -> Preview:
    """Return what a plan would do.

    Args:
        plan: A plan without problems.
        facts: For each step, what its handler says; None where only the servers know it.
        warnings: What checking the plan has found besides.
        unknown_types: Step types that only the servers can know.
    """
    strategy, away = plan.rollout_strategy, plan.unreachable
    batches = split_into_batches(plan.servers, strategy)
    largest = max(len(batch.servers) for batch in batches)
    return Preview(
        name=plan.name,
        servers=len(plan.servers),
        strategy=strategy.type,
        failures_allowed=failures_allowed(len(plan.servers), strategy),
        limit_text=stop_text(len(plan.servers), strategy),
        on_stop=strategy.on_stop,
        at_once=min(largest, strategy.max_concurrency or MAX_IN_FLIGHT, MAX_IN_FLIGHT),
        rollback=plan.rollback.scope,
        on_failure=strategy.on_failure,
        approval_timeout=strategy.approval_timeout,
        deadline=plan.deadline,
        progress_deadline=strategy.progress_deadline,
        unreachable=away.policy,
        unreachable_timeout=None if away.patience == LONGEST else away.patience,
        unreachable_allowed=None
        if away.max_unreachable is None
        else resolve_size(away.max_unreachable, len(plan.servers), least=0),
        rollback_deadline=plan.rollback.deadline,
        rollback_of=plan.rollback_of.rollout_id if plan.rollback_of else None,
        batches=[
            BatchPreview(
                index=batch.index,
                canary=batch.canary,
                servers=list(batch.servers),
                wait_after_seconds=batch.wait_after,
                gate=gate_after(batch, batches, approval=strategy.approval),
            )
            for batch in batches
        ],
        steps=_steps(plan, facts),
        warnings=list(warnings),
        unknown_types=list(unknown_types),
    )


def _steps(plan: Plan, facts: Sequence[StepFacts | None]) -> list[StepPreview]:
    return [
        StepPreview(
            index=step.index,
            name=step.name,
            type=step.type,
            timeout=step.timeout,
            executions=step.maximum_attempts or (known.executions if known else None),
            undo=known.undo if known else None,
            undo_note=known.undo_note if known else None,
            stops_server=step.stops_server,
        )
        for step, known in zip(resolve_steps(plan), facts, strict=True)
    ]


def absence_rule(preview: Preview) -> str:
    """Return what happens with servers that do not answer."""
    patience = preview.unreachable_timeout
    long = f"for {format_duration(patience)}" if patience is not None else "for ever"
    what = {
        "fail": f"a server that is silent {long} has failed",
        "skip": "a server that is silent is left out",
        "wait": f"a server that is silent is waited for, {long}",
    }.get(preview.unreachable, preview.unreachable)
    allowed = preview.unreachable_allowed
    limit = "" if allowed is None else f"; at most {allowed}, apart from failures"
    return f"{what}{limit}"
