"""Steps with the plan's defaults filled in."""

from collections.abc import Sequence
from datetime import timedelta

from kitsune.models.plan import Plan, RetryPolicy, Step
from kitsune.models.requests import ResolvedStep
from kitsune.rollout.limits import json_size

#: Executions at most of an idempotent handler, where neither the step nor the plan says.
EXECUTIONS_WHERE_IDEMPOTENT = 3
#: Bytes of a step's params as JSON up to which they travel with the step, where the plan travels by reference.
_LARGE_PARAMS = 1024
_INITIAL_INTERVAL = timedelta(seconds=1)
_BACKOFF_COEFFICIENT = 2.0
_MAXIMUM_INTERVAL = timedelta(seconds=60)


def resolve_steps(plan: Plan) -> list[ResolvedStep]:
    """Return a plan's steps with every default but those that only a handler knows."""
    return [_resolve(step, index=index, plan=plan) for index, step in enumerate(plan.steps)]


def bytes_of_steps(plan: Plan) -> int:
    """Return how many bytes a plan's steps have as they are sent to each server, defaults included."""
    return json_size([step.model_dump(mode="json", by_alias=True) for step in resolve_steps(plan)])


def undo_generation(attempt: int, generation: int) -> int:
    """Return the generation of an undo: each try to undo each generation of a step is an operation of its own.

    Args:
        attempt: Which try of the rollback it is, from 0.
        generation: Of the execution that is undone; below a thousand.
    """
    return attempt * 1000 + generation


def without_large_params(steps: Sequence[ResolvedStep]) -> list[ResolvedStep]:
    """Return steps as a workflow needs them: large params stay in the plan, where the server reads them."""
    return [
        step.model_copy(update={"params": {}, "params_in_plan": True})
        if json_size(step.params) > _LARGE_PARAMS
        else step
        for step in steps
    ]


def _resolve(step: Step, *, index: int, plan: Plan) -> ResolvedStep:
    own, general = step.retry_policy or RetryPolicy(), plan.retry_policy
    return ResolvedStep(
        index=index,
        name=step.name,
        type=step.type,
        params=step.params,
        stops_server=step.stops_server,
        timeout=step.timeout or plan.step_timeout,
        initial_interval=own.initial_interval or general.initial_interval or _INITIAL_INTERVAL,
        backoff_coefficient=own.backoff_coefficient
        or general.backoff_coefficient
        or _BACKOFF_COEFFICIENT,
        maximum_interval=own.maximum_interval or general.maximum_interval or _MAXIMUM_INTERVAL,
        maximum_attempts=own.maximum_attempts or general.maximum_attempts,
    )
