"""A plan as a page: its batches, rules, steps, and its text without what is secret."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kitsune.dashboard.views.sentences import rules_of, summary_of, then_of, undo_of
from kitsune.models.durations import format_duration
from kitsune.models.printable import safe
from kitsune.models.problems import join_path
from kitsune.planfile.document import Document, Located
from kitsune.rollout.preview import BatchPreview, Preview

HIDDEN = "(secret, not shown)"
_BATCHES = 12
_SERVERS = 6
_LONGEST_TEXT = 200_000
#: Servers that are named in the text of a plan.
_NAMED = 20


@dataclass(frozen=True)
class BatchLine:
    """One batch of a preview."""

    title: str
    size: str
    then: str
    servers: str


@dataclass(frozen=True)
class StepLine:
    """One step of a preview."""

    number: int
    name: str
    type: str
    timeout: str
    executions: str
    undo: str
    stops: bool
    reversible: bool


@dataclass(frozen=True)
class PlanPage:
    """A plan, laid out.

    Attributes:
        more: Batches that are left out.
        warnings: What an operator should know before it runs.
    """

    name: str
    summary: str
    rules: tuple[tuple[str, str], ...]
    batches: tuple[BatchLine, ...]
    more: int
    steps: tuple[StepLine, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class MarkedLine:
    """One line of a plan's text, with what is wrong there: column (from 1) and message."""

    number: int
    text: str
    problems: tuple[tuple[int, str], ...]


def plan_page(preview: Preview) -> PlanPage:
    """Return a plan, laid out."""
    batches = preview.batches
    shown = batches if len(batches) <= _BATCHES else [*batches[: _BATCHES - 1], batches[-1]]
    unknown = [
        f"step type {word!r} is not installed here: servers are asked before they run it"
        for word in preview.unknown_types
    ]
    return PlanPage(
        name=preview.name,
        summary=summary_of(preview),
        rules=tuple(rules_of(preview)),
        batches=tuple(_batch(batch) for batch in shown),
        more=len(batches) - len(shown),
        steps=tuple(
            StepLine(
                number=step.index + 1,
                name=step.name,
                type=step.type,
                timeout=format_duration(step.timeout),
                executions="?" if step.executions is None else str(step.executions),
                undo=undo_of(step),
                stops=step.stops_server,
                reversible=step.undo != "none",
            )
            for step in preview.steps
        ),
        warnings=(*preview.warnings, *unknown),
    )


def plan_text(wire: Mapping[str, Any], *, secrets: Sequence[str]) -> str:
    """Return a plan as JSON for people; values at secret paths are not in it."""
    shown = _without(wire, "", tuple(secrets))
    if len(servers := list(shown.get("servers", []))) > _NAMED:
        shown["servers"] = [*servers[:_NAMED], f"... {len(servers) - _NAMED:,} more"]
    text = json.dumps(shown, indent=2, ensure_ascii=False)
    if len(text) > _LONGEST_TEXT:
        text = f"{text[:_LONGEST_TEXT]}\n... {len(text) - _LONGEST_TEXT:,} characters more"
    return safe(text, lines=True)


def marked_lines(
    document: Document, problems: Sequence[Located], *, around: int = 3
) -> list[MarkedLine]:
    """Return the lines of a plan's text that hold problems, and a few around them.

    Lines whose problem must not show what stands there are empty.
    """
    at: dict[int, list[tuple[int, str]]] = {}
    hidden = set()
    for located in problems:
        if located.place is not None:
            text = safe(located.problem.text)
            at.setdefault(located.place.line, []).append((located.place.column, text))
            if located.excerpt is None:
                hidden.add(located.place.line)
    lines = document.source.text.splitlines()
    near = {
        line
        for found in at
        for line in range(found - around, found + around + 1)
        if 0 < line <= len(lines)
    } | at.keys()
    return [
        MarkedLine(
            number,
            ""
            if number in hidden or number > len(lines)
            else safe(lines[number - 1], lines=True)[:400],
            tuple(at.get(number, ())),
        )
        for number in sorted(near)
    ]


def _without(value: Any, path: str, secrets: tuple[str, ...]) -> Any:
    if path and path in secrets:
        return HIDDEN
    if isinstance(value, dict):
        return {
            key: _without(entry, join_path([key], prefix=path), secrets)
            for key, entry in value.items()
        }
    if isinstance(value, list):
        return [_without(entry, f"{path}[{at}]", secrets) for at, entry in enumerate(value)]
    return value


def _batch(batch: BatchPreview) -> BatchLine:
    names = batch.servers
    few = names if len(names) <= _SERVERS else [*names[: _SERVERS - 2], "…", names[-1]]
    return BatchLine(
        title=f"{batch.index + 1}{' canary' if batch.canary else ''}",
        size=f"{len(names):,}",
        then=then_of(batch),
        servers=", ".join(few),
    )
