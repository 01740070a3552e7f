"""Plans that come in by a form or by the API: read, checked whole, started in a person's name; shown without secrets."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kitsune.dashboard.roles import User
from kitsune.errors import BadRequest, PlanRefused, PlanUnreadable
from kitsune.handlers.registry import HandlerRegistry
from kitsune.handlers.validation import Checked, check_plan, secret_paths
from kitsune.models.plan import Plan, plan_to_wire
from kitsune.models.problems import Problem, join_path
from kitsune.planfile.document import Document, Located, parse_document
from kitsune.planfile.loading import Loaded, check_document, preview_of
from kitsune.planfile.source import MAX_FILE_BYTES, Source
from kitsune.rollout.preview import Preview
from kitsune.service.fleet import Fleet, Started
from kitsune.service.starting import check_rollout_id, new_rollout_id

HIDDEN = "(secret, not shown)"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Examined:
    """What there is to say about a plan that came in.

    Attributes:
        checked: Its problems or its warnings.
        located: The problems, with line and column where it came as text.
        document: Its text, where it came as one that can be read.
        preview: What it would do; None where there are problems.
    """

    checked: Checked
    located: tuple[Located, ...] = ()
    document: Document | None = None
    preview: Preview | None = None

    @property
    def wire(self) -> dict[str, Any]:
        """The plan as it goes to Temporal.

        Raises:
            PlanRefused: There are problems.
        """
        if self.checked.plan is None or self.located:
            text = "\n".join(located.problem.text for located in self.located)
            raise PlanRefused([located.problem for located in self.located], text=text)
        return plan_to_wire(self.checked.plan)


async def examine(
    plan: str | Mapping[str, Any],
    registry: HandlerRegistry,
    *,
    servers: Sequence[str] | None = None,
) -> Examined:
    """Check a plan whole, beside the event loop.

    Args:
        plan: Its text, YAML or JSON; or the object itself.
        registry: Knows the step types.
        servers: Takes the place of the plan's own list.
    """
    return await asyncio.to_thread(_examine, plan, registry, servers)


async def start(
    fleet: Fleet, examined: Examined, *, actor: User, rollout_id: str = ""
) -> tuple[str, Started]:
    """Start a plan and return the rollout's id, and whether it was there already.

    Args:
        fleet: The way to Temporal.
        examined: The plan.
        actor: Who starts it.
        rollout_id: An id of one's own, as an idempotency token; by default one that tells the plan's name.

    Raises:
        PlanRefused: The plan has problems.
        BadRequest: No rollout can have this id.
        Conflict: The id belongs to another plan.
    """
    wire = examined.wire
    try:
        chosen = check_rollout_id(rollout_id) if rollout_id else new_rollout_id(wire["name"])
    except ValueError as error:
        raise BadRequest(str(error)) from error
    started = await fleet.start(wire, rollout_id=chosen, actor=actor.display_name)
    _LOG.info("%s starts %s: %s", actor.display_name, chosen, started.value)
    return chosen, started


def shown_plan(plan: Plan, registry: HandlerRegistry) -> dict[str, Any]:
    """Return a plan as JSON without what is secret; of step types that nobody here knows, no param is shown."""
    wire = plan_to_wire(plan)
    shown: dict[str, Any] = _without(wire, "", hidden_paths(plan, registry))
    return shown


def hidden_paths(plan: Plan, registry: HandlerRegistry) -> frozenset[str]:
    """Return the paths of a plan below which nothing may be shown."""
    unknown = [
        f"steps[{index}].params"
        for index, step in enumerate(plan.steps)
        if step.type not in registry.types
    ]
    return frozenset([*secret_paths(plan_to_wire(plan), registry), *unknown])


def _examine(
    plan: str | Mapping[str, Any], registry: HandlerRegistry, servers: Sequence[str] | None
) -> Examined:
    given = None if servers is None else list(servers)
    if isinstance(plan, str):
        if len(plan.encode()) > MAX_FILE_BYTES:
            return _unreadable(f"larger than {MAX_FILE_BYTES:,} bytes")
        try:
            document = parse_document(Source("plan", plan))
        except PlanUnreadable as error:
            return _unreadable(str(error))
        checked, located = check_document(document, registry, servers=given)
    else:
        document = None
        checked = check_plan(plan if given is None else {**plan, "servers": given}, registry)
        located = [Located(problem, "plan") for problem in checked.problems]
    preview = None
    if checked.plan is not None and not located:
        loaded = Loaded(wire=plan_to_wire(checked.plan), plan=checked.plan, checked=checked)
        preview = preview_of(loaded, registry)
    return Examined(checked, tuple(located), document, preview)


def _unreadable(text: str) -> Examined:
    problem = Problem(message=text)
    return Examined(Checked(plan=None, problems=(problem,)), (Located(problem, "plan"),))


def _without(value: Any, path: str, hidden: frozenset[str]) -> Any:
    if path in hidden:
        return HIDDEN
    if isinstance(value, dict):
        return {
            key: _without(entry, join_path([key], prefix=path), hidden)
            for key, entry in value.items()
        }
    if isinstance(value, list):
        return [_without(entry, f"{path}[{at}]", hidden) for at, entry in enumerate(value)]
    return value
