"""One server in a rollout: its steps, the one that failed open, what each has printed, how often it was tried."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kitsune.dashboard.views.ansi import Span, lines_of
from kitsune.dashboard.views.commands import command
from kitsune.dashboard.views.looks import BROKEN, Look, Sign, look_of, shown_state
from kitsune.dashboard.views.picture import Picture
from kitsune.dashboard.views.times import lasted
from kitsune.models.bytes import format_bytes
from kitsune.models.plan import Plan
from kitsune.models.printable import safe
from kitsune.models.progress import ServerProgress
from kitsune.models.results import StepOutcome
from kitsune.service.server_steps import ServerLook, StepAtWork

STREAMS = ("stdout", "stderr")
_LONGEST_VALUE = 2000
_SIGNS: Mapping[str, Sign] = {
    "succeeded": Sign("succeeded", "ok", "✓"),
    "failed": Sign("failed", "bad", "✕"),
    "interrupted": Sign("interrupted", "bad", "!"),
    "cancelled": Sign("cancelled", "warn", "⊘"),
    "running": Sign("running", "busy", "▸"),
    "undoing": Sign("is being undone", "warn", "↶"),
    "pending": Sign("to come", "idle", "·"),
    "notRun": Sign("not run", "idle", "\u2013"),
    "before": Sign("done before", "idle", "\u2013"),
}
_UNDONE = {
    "rolledBack": "rolled back",
    "rollbackFailed": "rollback failed",
    "nothingToUndo": "nothing to undo",
    "cannotBeUndone": "cannot be undone",
}


@dataclass(frozen=True)
class Stream:
    """What a step has printed on one stream.

    Attributes:
        part: What of it is here, as in `head and tail of 1.2 MiB`; empty where it is all.
    """

    name: str
    lines: tuple[tuple[Span, ...], ...]
    size: str
    part: str


@dataclass(frozen=True)
class StepView:
    """One step.

    Attributes:
        open: Worth seeing at once.
        values: What it returned besides its streams.
        attempts: How often it ran and was handed out, where that says something.
        undo_error: Why its rollback failed.
    """

    number: int
    name: str
    type: str
    sign: Sign
    took: str
    error: str
    open: bool
    streams: tuple[Stream, ...] = ()
    values: tuple[tuple[str, str], ...] = ()
    attempts: str = ""
    undone: str = ""
    undo_error: str = ""
    log_command: str = ""


@dataclass(frozen=True)
class ServerPage:
    """One server in a rollout.

    Attributes:
        before, after: Its neighbours among servers that are not well, for going through them.
    """

    server_id: str
    look: Look
    batch: str
    took: str
    error: str
    remark: str
    steps: tuple[StepView, ...]
    before: str
    after: str
    going: bool


def server_page(
    picture: Picture,
    server: ServerProgress,
    *,
    plan: Plan | None,
    look: ServerLook | None,
    now: datetime,
) -> ServerPage:
    """Return the page of a server of a rollout."""
    server_id = server.server_id
    state = shown_state(server)
    broken = [one.server_id for one in picture.servers if shown_state(one) in BROKEN]
    at = broken.index(server_id) if server_id in broken else -1
    remark = "rolled back" if server.rolled_back else ""
    remark = "rollback failed: see to it by hand" if server.rollback_failed else remark
    remark = "rollback pending" if server.rollback_pending else remark
    return ServerPage(
        server_id=server_id,
        look=look_of(state),
        batch="" if server.batch is None else str(server.batch + 1),
        took=lasted(server.started_at, server.ended_at or now) if server.started_at else "",
        error=safe(server.error or "", lines=True),
        remark=remark,
        steps=_steps(picture, server, plan=plan, look=look, now=now),
        before=broken[at - 1] if at > 0 else "",
        after=broken[at + 1] if 0 <= at < len(broken) - 1 else "",
        going=picture.row.open and server.ended_at is None,
    )


def steps_known(picture: Picture, server_id: str, look: ServerLook | None) -> Sequence[StepOutcome]:
    """Return the outcomes of a server's steps: the rollout's own result knows most, then its workflow."""
    if picture.result:
        for result in picture.result.results:
            if result.server_id == server_id and result.steps_executed:
                return result.steps_executed
    return look.steps if look else ()


def _steps(
    picture: Picture,
    server: ServerProgress,
    *,
    plan: Plan | None,
    look: ServerLook | None,
    now: datetime,
) -> tuple[StepView, ...]:
    server_id = server.server_id
    outcomes = {outcome.index: outcome for outcome in steps_known(picture, server_id, look)}
    at_work = look.at_work if look else None
    planned = (
        {index: (step.name, step.type) for index, step in enumerate(plan.steps)} if plan else {}
    )
    planned |= {index: (outcome.name, outcome.type) for index, outcome in outcomes.items()}
    if at_work:
        planned.setdefault(at_work.index, (at_work.name, at_work.type))
    over = not picture.row.open or server.ended_at is not None
    first = plan.start_at.get(server_id, 0) if plan else 0
    succeeded = server.state == "succeeded"
    views = []
    for index, (name, kind) in sorted(planned.items()):
        if at_work and at_work.index == index and not (at_work.undoing and not outcomes.get(index)):
            views.append(_at_work(at_work, name, kind, now))
        elif index in outcomes:
            views.append(_ended(outcomes[index], picture.row.rollout_id, server_id))
        else:
            word = "before" if index < first else "notRun" if over else "pending"
            # A large result leaves out what a server that succeeded has done.
            word = "succeeded" if succeeded and index >= first else word
            views.append(StepView(index + 1, name, kind, _SIGNS[word], "", "", open=False))
    return tuple(views)


def _ended(outcome: StepOutcome, rollout_id: str, server_id: str) -> StepView:
    return StepView(
        number=outcome.index + 1,
        name=outcome.name,
        type=outcome.type,
        sign=_SIGNS.get(outcome.status, Sign(outcome.status, "idle", "◇")),
        took=lasted(outcome.started_at, outcome.ended_at),
        error=safe(outcome.error or "", lines=True),
        open=not outcome.success,
        streams=tuple(_streams(outcome)),
        values=tuple(_values(outcome.outputs)),
        attempts=_attempts(outcome),
        undone=_UNDONE.get(outcome.undone or "", outcome.undone or ""),
        undo_error=safe(outcome.undo_error or "", lines=True),
        log_command=command("logs", rollout_id, server_id, "--step", outcome.name),
    )


def _at_work(step: StepAtWork, name: str, kind: str, now: datetime) -> StepView:
    streams = tuple(
        Stream(stream, tuple(lines_of(text)), "", "the last lines so far")
        for stream, text in step.said.items()
    )
    again = f"handed out {step.delivery} times" if step.delivery > 1 else ""
    return StepView(
        number=step.index + 1,
        name=name,
        type=kind,
        sign=_SIGNS["undoing" if step.undoing else "running"],
        took=lasted(step.started_at, now),
        error=safe(step.last_failure, lines=True),
        open=True,
        streams=streams,
        attempts=again,
    )


def _streams(outcome: StepOutcome) -> Sequence[Stream]:
    found = []
    # Where a step failed, what it complained of comes first.
    for name in STREAMS if outcome.success else STREAMS[::-1]:
        said = outcome.outputs.get(name)
        if not isinstance(said, dict) or not isinstance(said.get("text"), str):
            continue
        size = said.get("bytes")
        size_text = format_bytes(size) if isinstance(size, int) else ""
        if not said["text"] and not size:
            continue
        part = f"head and tail of {size_text}" if said.get("truncated") is True else ""
        found.append(Stream(name, tuple(lines_of(str(said["text"]))), size_text, part))
    return found


def _values(outputs: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    rest = {key: value for key, value in outputs.items() if key not in STREAMS}
    return [
        (safe(key), _value(value)) for key, value in rest.items() if value not in (None, "", [])
    ]


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return safe(text[:_LONGEST_VALUE], lines=True)


def _attempts(outcome: StepOutcome) -> str:
    parts = []
    if outcome.generation:
        parts.append(f"retried {_times(outcome.generation)} by an operator")
    if outcome.executions > 1:
        parts.append(f"ran {_times(outcome.executions)}")
    if outcome.executions == 0:
        parts.append("never ran")
    if outcome.deliveries > max(1, outcome.executions):
        parts.append(f"handed out {_times(outcome.deliveries)}, answered from the server's journal")
    return ", ".join(parts)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
