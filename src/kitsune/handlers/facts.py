"""What only handlers know about the steps of a plan: executions, and how much can be undone."""

from pydantic import BaseModel, ValidationError

from kitsune.handlers.base import Reversible
from kitsune.handlers.registry import Handler, HandlerRegistry
from kitsune.models.findings import known_keys
from kitsune.models.plan import Plan, Step
from kitsune.rollout.preview import StepFacts
from kitsune.rollout.steps import EXECUTIONS_WHERE_IDEMPOTENT

_UNDO_COMMAND = "rollbackCommand"
_NOTHING_TO_UNDO = f'; where there is nothing to undo, {_UNDO_COMMAND}: "true" says so'


def step_facts(plan: Plan, registry: HandlerRegistry) -> list[StepFacts | None]:
    """Return, for each step, what its handler says of it; None where only the servers know the type."""
    found = []
    for step in plan.steps:
        handler = registry.get(step.type)
        found.append(None if handler is None else _facts(step, handler))
    return found


def handler_warnings(plan: Plan, registry: HandlerRegistry) -> list[str]:
    """Return a sentence for each handler that is broken here, and for steps that cannot be undone."""
    used = {step.type for step in plan.steps}
    warnings = [fault for step_type, fault in sorted(registry.faults.items()) if step_type in used]
    if plan.rollback.scope == "none":
        return warnings
    facts = zip(plan.steps, step_facts(plan, registry), strict=True)
    noted = [(step.name, fact.undo_note) for step, fact in facts if fact and fact.undo_note]
    lost = [f"{name!r} ({note})" for name, note in noted]
    if lost:
        shown = ", ".join(lost[:3]) + (f" and {len(lost) - 3} more" if len(lost) > 3 else "")  # noqa: PLR2004 - three are enough to see the kind
        advice = _NOTHING_TO_UNDO if any(_UNDO_COMMAND in note for _, note in noted) else ""
        warnings.append(f"cannot be undone: {shown}{advice}")
    return warnings


def _facts(step: Step, handler: Handler) -> StepFacts:
    undo = _reversible(step, handler)
    return StepFacts(
        executions=EXECUTIONS_WHERE_IDEMPOTENT if handler.idempotent else 1,
        undo=undo,
        undo_note=_undo_note(handler) if undo == "none" else None,
    )


def _reversible(step: Step, handler: Handler) -> Reversible:
    model: type[BaseModel] = handler.params_model
    try:
        params = model.model_validate(step.params)
    except ValidationError:
        return handler.reversible
    return handler.reversible_with(params)


def _undo_note(handler: Handler) -> str:
    """Return why a step cannot be undone; names the params that would change it, where there are some."""
    keys = [
        key
        for key in known_keys(handler.params_model)
        if key.startswith("rollback") and not key.endswith("Args")
    ]
    return f"{handler.type} without {' or '.join(keys)}" if keys else handler.type
