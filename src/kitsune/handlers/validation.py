"""Checks plans: one set of rules for the command line, the orchestrator and every server."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kitsune.handlers.facts import handler_warnings
from kitsune.handlers.registry import HandlerRegistry
from kitsune.handlers.soundness import TOO_DEEP, unsound, walk
from kitsune.models.findings import problems_from, sensitive_keys
from kitsune.models.plan import Plan, Step
from kitsune.models.problems import Problem, join_path, nearest, parent_path, show_value
from kitsune.rollout.limits import json_size, size_problems
from kitsune.rollout.references import reference_problems
from kitsune.rollout.warnings import plan_warnings

#: Problems that one answer lists; a broken generator can make as many as a plan has servers.
MOST_PROBLEMS = 100
#: How alike an unknown step type and a known one must be to be taken for a typo.
#: Anything else may be a plugin that only servers have.
_TYPO = 0.75
ModelT = TypeVar("ModelT", bound=BaseModel)
#: What params stand in; many a key of a step or a plan is written one level too deep.
_AROUND_PARAMS: Mapping[str, type[BaseModel]] = {
    "the step, one level up": Step,
    "the plan": Plan,
}
_HOW_TO_START = "start it with one JSON object, e.g. --input-file plan.json"


@dataclass(frozen=True)
class Checked:
    """What there is to say about a plan.

    Attributes:
        plan: The plan, or None where there are problems.
        problems: Everything that is wrong, in the plan's own order.
        warnings: What an operator should know, one sentence each.
        unknown_types: Step types that only the servers can know, sorted.
    """

    plan: Plan | None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    unknown_types: tuple[str, ...] = ()


def check_arguments(arguments: Sequence[Any], registry: HandlerRegistry) -> Checked:
    """Check what a rollout was started with: whatever it was, it gets a clear answer."""
    if not arguments:
        return _refused(f"no plan was given: {_HOW_TO_START}")
    if len(arguments) > 1:
        return _refused(f"{len(arguments)} inputs were given, a plan is one: {_HOW_TO_START}")
    if not isinstance(arguments[0], dict):
        return _refused(f"a plan is one JSON object, not {show_value(arguments[0])}")
    return check_plan(arguments[0], registry)


def check_plan(raw: Any, registry: HandlerRegistry) -> Checked:
    """Check a plan whole: its form, the params of every step, its size.

    Args:
        raw: Plain data, as JSON or YAML gives it.
        registry: Knows the step types; those that it does not know are left to the servers.
    """
    if not isinstance(raw, dict):
        return _refused(f"a plan is a mapping with servers and steps, not {show_value(raw)}")
    broken = unsound(raw)
    if any(problem.message == TOO_DEEP for problem in broken):
        return Checked(plan=None, problems=_bounded(broken))
    plan, problems = _read(Plan, raw)
    problems += _duplicate_servers(raw) + _step_problems(raw, registry)
    places = {problem.path for problem in broken}
    problems = broken + [problem for problem in problems if problem.path not in places]
    if plan is not None and not broken:
        problems += size_problems(plan, plan_bytes=json_size(raw))
        problems += reference_problems(plan)
    if plan is None or problems:
        return Checked(plan=None, problems=_bounded(_in_order(problems, raw)))
    unknown = tuple(sorted({step.type for step in plan.steps} - set(registry.types)))
    warnings = (*plan_warnings(plan), *handler_warnings(plan, registry))
    return Checked(plan=plan, warnings=warnings, unknown_types=unknown)


def check_params(
    step_type: str, params: Any, registry: HandlerRegistry, prefix: str
) -> list[Problem]:
    """Return what a step's handler finds wrong with its params; nothing where it is not known here.

    Args:
        step_type: The step's type.
        params: What stands in the plan.
        registry: Knows the handlers.
        prefix: Where the params stand, as in `steps[2].params`.
    """
    handler = registry.get(step_type)
    if handler is None:
        return []
    try:
        return _read(handler.params_model, params, prefix=prefix, around=_AROUND_PARAMS)[1]
    except Exception as error:  # noqa: BLE001 - a plugin's own code: its bug must not end a check of the whole plan
        fault = f"the checks of step type {step_type!r} broke: {type(error).__name__}"
        return [Problem(path=prefix, message=fault)]


def secret_paths(raw: Any, registry: HandlerRegistry) -> list[str]:
    """Return where values stand that must not be shown, in a plan that may be wrong in any way."""
    steps = raw.get("steps") if isinstance(raw, dict) else None
    paths = []
    for index, step in enumerate(steps if isinstance(steps, list) else []):
        step_type = step.get("type") if isinstance(step, dict) else None
        handler = registry.get(step_type) if isinstance(step_type, str) else None
        if handler is not None:
            prefix = f"steps[{index}].params"
            paths += [
                join_path([key], prefix=prefix) for key in sensitive_keys(handler.params_model)
            ]
    return paths


def _read(
    model: type[ModelT],
    raw: Any,
    *,
    prefix: str = "",
    around: Mapping[str, type[BaseModel]] | None = None,
) -> tuple[ModelT | None, list[Problem]]:
    try:
        # By alias only: a key has one spelling, the same that editors learn from the schema.
        return model.model_validate(raw, by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, problems_from(error, model, raw=raw, prefix=prefix, around=around)


def _duplicate_servers(raw: dict[str, Any]) -> list[Problem]:
    written = raw.get("servers")
    first: dict[str, int] = {}
    problems = []
    for index, server in enumerate(written if isinstance(written, list) else []):
        if not isinstance(server, str):
            continue
        if server in first:
            message = (
                f"{show_value(server)} stands in the list already, at servers[{first[server]}]"
            )
            problems.append(
                Problem(path=f"servers[{index}]", value=show_value(server), message=message)
            )
        first.setdefault(server, index)
    return problems


def _step_problems(raw: dict[str, Any], registry: HandlerRegistry) -> list[Problem]:
    steps = raw.get("steps")
    problems: list[Problem] = []
    for index, step in enumerate(steps if isinstance(steps, list) else []):
        step_type = step.get("type") if isinstance(step, dict) else None
        if not isinstance(step_type, str):
            continue
        problems += _type_problems(step_type, registry, path=f"steps[{index}].type")
        params = step.get("params", {})
        if isinstance(params, dict):
            problems += check_params(step_type, params, registry, f"steps[{index}].params")
    return problems


def _type_problems(step_type: str, registry: HandlerRegistry, *, path: str) -> list[Problem]:
    known = {*registry.types, *registry.faults}
    hint = None if step_type in known else nearest(step_type, known, cutoff=_TYPO)
    if hint is None:
        return []
    shown = show_value(step_type)
    return [Problem(path=path, value=shown, message=f"unknown step type {shown}", hint=hint)]


def _in_order(problems: Iterable[Problem], raw: Any) -> list[Problem]:
    """Return problems from top to bottom; what is missing stands where its mapping begins."""
    places = {path: number for number, (path, _, _) in enumerate(walk(raw))}

    def place(problem: Problem) -> int:
        path = problem.path
        while path not in places:
            path = parent_path(path)
        return places[path]

    return sorted(dict.fromkeys(problems), key=place)


def _bounded(problems: list[Problem]) -> tuple[Problem, ...]:
    left = len(problems) - MOST_PROBLEMS
    if left <= 0:
        return tuple(problems)
    more = Problem(message=f"and {left:,} more problem{'' if left == 1 else 's'}")
    return (*problems[:MOST_PROBLEMS], more)


def _refused(message: str) -> Checked:
    return Checked(plan=None, problems=(Problem(message=message),))
