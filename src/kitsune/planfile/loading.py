"""From a file's name to a plan that may run, or to everything that is wrong with it."""

import re
from dataclasses import dataclass
from typing import Any

from kitsune.errors import PlanRefused, PlanUnreadable
from kitsune.handlers.facts import step_facts
from kitsune.handlers.registry import HandlerRegistry
from kitsune.handlers.validation import Checked, check_plan, secret_paths
from kitsune.models.plan import Plan, plan_to_wire
from kitsune.models.printable import safe
from kitsune.planfile.document import Document, Located, read_document
from kitsune.planfile.source import read_source
from kitsune.rollout.preview import Preview, preview_plan


@dataclass(frozen=True)
class Loaded:
    """A plan that may run.

    Attributes:
        wire: The JSON object that goes to Temporal.
        plan: The same, as a model.
        checked: Warnings, and step types that only the servers know.
    """

    wire: dict[str, Any]
    plan: Plan
    checked: Checked


def load_and_check(
    path: str, registry: HandlerRegistry, *, servers: list[str] | None = None
) -> Loaded:
    """Read a plan file and check it whole.

    Args:
        path: The file, or `-` for standard input.
        registry: Knows the step types.
        servers: Takes the place of the plan's own list.

    Raises:
        PlanUnreadable: The file cannot be read at all.
        PlanRefused: The plan is wrong; its text is ready to be printed.
    """
    document = read_document(path)
    checked, located = check_document(document, registry, servers=servers)
    if located or checked.plan is None:
        count = f"{len(located)} problem{'' if len(located) == 1 else 's'}"
        lines = [f"{safe(document.source.name)} is refused, {count}:"]
        lines += [problem.text for problem in located]
        raise PlanRefused([problem.problem for problem in located], text="\n".join(lines))
    return Loaded(wire=plan_to_wire(checked.plan), plan=checked.plan, checked=checked)


def preview_of(loaded: Loaded, registry: HandlerRegistry) -> Preview:
    """Return what a loaded plan would do."""
    return preview_plan(
        loaded.plan,
        facts=step_facts(loaded.plan, registry),
        warnings=loaded.checked.warnings,
        unknown_types=loaded.checked.unknown_types,
    )


def check_document(
    document: Document, registry: HandlerRegistry, *, servers: list[str] | None = None
) -> tuple[Checked, list[Located]]:
    """Check a file that has been read; returns what was found, and each problem with its place."""
    raw = document.data
    if servers is None or not isinstance(raw, dict):
        checked = check_plan(raw, registry)
        return checked, document.locate(checked.problems, secrets=secret_paths(raw, registry))
    checked = check_plan({**raw, "servers": servers}, registry)
    given = [problem for problem in checked.problems if re.match(r"servers(\[|$)", problem.path)]
    written = tuple(problem for problem in checked.problems if problem not in given)
    placed = document.locate(written, secrets=secret_paths(raw, registry))
    return checked, [Located(problem, "--servers") for problem in given] + placed


def parse_servers_option(option: str) -> list[str]:
    """Return the servers that `--servers` names: `a,b`, or `@file` with one id a line and `#` comments.

    Raises:
        PlanUnreadable: The file cannot be read.
    """
    if option.startswith("@"):
        try:
            lines = read_source(option[1:]).text.splitlines()
        except PlanUnreadable as error:
            raise PlanUnreadable(
                f"--servers {safe(option)}: @ reads a file with one server a line: {error} "
                "(names stand without @, as in `kitsune run PLAN --servers web-1,web-2`)"
            ) from error
        words = [line.partition("#")[0] for line in lines]
    else:
        words = option.split(",")
    return [word.strip() for word in words if word.strip()]
