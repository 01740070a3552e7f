"""What is allowed in a plan but probably not meant: one sentence each."""

from collections import Counter
from collections.abc import Iterator

from kitsune.models.plan import Plan, RolloutStrategy
from kitsune.models.sizes import Size, percent_of
from kitsune.rollout.batches import Batch, split_into_batches
from kitsune.rollout.gates import gates_of
from kitsune.rollout.limits import MAX_IN_FLIGHT, failures_allowed


def plan_warnings(plan: Plan) -> list[str]:
    """Return what an operator should know about a plan before it runs."""
    batches = split_into_batches(plan.servers, plan.rollout_strategy)
    return [
        *_about_steps(plan),
        *_about_batches(plan, batches),
        *_about_canaries(plan, batches),
        *_about_limits(plan, batches),
        *_about_people(plan, batches),
    ]


def _about_steps(plan: Plan) -> Iterator[str]:
    for name, count in Counter(step.name for step in plan.steps).items():
        if count > 1:
            yield f"{count} steps are named {name!r}: only their position tells them apart"
    for index, step in enumerate(plan.steps):
        if step.continue_on_failure and step.required and "required" in step.model_fields_set:
            yield (
                f"steps[{index}] ({step.name!r}): continueOnFailure wins over required, "
                "its failure stops nothing"
            )


def _about_batches(plan: Plan, batches: list[Batch]) -> Iterator[str]:
    strategy, fleet = plan.rollout_strategy, len(plan.servers)
    if strategy.batch_size is not None and strategy.type in ("Parallel", "Sequential"):
        yield f"batchSize does nothing with type {strategy.type}"
    elif isinstance(strategy.batch_size, str) and _share(strategy.batch_size, fleet) < 1:
        yield f"{strategy.batch_size} of {fleet} servers is less than one: batches of 1"
    if strategy.batch_delay_seconds and len(batches) == 1:
        yield "batchDelaySeconds does nothing: there is one batch"
    largest = max(len(batch.servers) for batch in batches)
    if strategy.max_concurrency is not None and strategy.max_concurrency >= largest > 0:
        yield (
            f"maxConcurrency {strategy.max_concurrency} is never reached: "
            f"the largest batch has {largest}"
        )
    if min(largest, strategy.max_concurrency or largest) > MAX_IN_FLIGHT:
        yield f"a batch of {largest:,} servers: at most {MAX_IN_FLIGHT} of them run at once"


def _about_canaries(plan: Plan, batches: list[Batch]) -> Iterator[str]:
    strategy, fleet = plan.rollout_strategy, len(plan.servers)
    canaries = sum(len(batch.servers) for batch in batches if batch.canary)
    if canaries == fleet:
        who = f"all {fleet} servers" if fleet > 1 else "the only server"
        yield f"the canary takes {who}: nothing is left to protect"
    if strategy.canary_soak_seconds and canaries == 0:
        yield "canarySoakSeconds does nothing: there is no canary (canaryPercentage is 0)"
    elif strategy.canary_soak_seconds and canaries == fleet:
        yield "canarySoakSeconds does nothing: no batch follows the canary"


def _about_limits(plan: Plan, batches: list[Batch]) -> Iterator[str]:
    strategy, fleet = plan.rollout_strategy, len(plan.servers)
    yield from _about_failures(strategy, fleet)
    together = min(max(len(batch.servers) for batch in batches), strategy.max_concurrency or fleet)
    if strategy.on_stop == "cancel" and together == 1:
        yield "onStop cancel does nothing: servers run one at a time"
    if "max_concurrency" in plan.rollback.model_fields_set and plan.rollback.scope != "fleet":
        yield "rollback.maxConcurrency does nothing without rollback.scope fleet"


def _about_people(plan: Plan, batches: list[Batch]) -> Iterator[str]:
    strategy = plan.rollout_strategy
    gates = gates_of(batches, approval=strategy.approval)
    if strategy.approval == "afterCanary" and not gates:
        canaries = any(batch.canary for batch in batches)
        why = "no batch follows the canary" if canaries else "there is no canary"
        yield f"approval afterCanary does nothing: {why}"
    elif strategy.approval == "everyBatch" and not gates:
        yield "approval everyBatch does nothing: there is one batch"
    if strategy.approval_timeout and not gates:
        yield "approvalTimeout does nothing: nothing waits for an approval"
    if plan.unreachable.max_unreachable is not None and plan.unreachable.policy == "skip":
        yield "unreachable.maxUnreachable does nothing with unreachable.policy skip"


def _about_failures(strategy: RolloutStrategy, fleet: int) -> Iterator[str]:
    allowed, written = failures_allowed(fleet, strategy), strategy.max_failures
    if allowed is not None and allowed >= fleet:
        yield f"maxFailures {written} can never stop a rollout of {fleet} server{'' if fleet == 1 else 's'}"
    elif isinstance(written, str) and allowed == 0 and percent_of(written):
        yield f"maxFailures {written} of {fleet} servers is less than one: stops at the 1st failure"


def _share(size: Size, fleet: int) -> float:
    return fleet * (percent_of(str(size)) or 0.0) / 100
