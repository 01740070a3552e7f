"""The recap of a rollout that has ended: servers by state, failures by cause, what was undone, what to type next."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.text import Text

from kitsune.cli.console import Glyphs, data_text, safe
from kitsune.cli.states import count_text, glyph_of, in_order, look_of
from kitsune.models.durations import format_duration
from kitsune.models.results import RolloutResult, RolloutStatus, ServerResult, ServerStatus
from kitsune.rollout.causes import Cause, group_by_cause

if TYPE_CHECKING:
    from kitsune.service.outcomes import CutShort, Outcome, Refused

_CAUSES_SHOWN = 10
_LINES_OF_A_CAUSE = 8
_NAMES_SHOWN = 3
_NAMES_TYPED = 8
_PROBLEMS_SHOWN = 50

#: Servers that `kitsune retry` takes when nobody says which.
_RETRIED = frozenset({"failed", "unreachable", "unknown", "notStarted", "cancelled"})

_WORDS = {
    RolloutStatus.SUCCEEDED: ("succeeded", "bold green"),
    RolloutStatus.FAILED: ("finished, with failed servers", "bold red"),
    RolloutStatus.INCOMPLETE: ("finished, not on every server", "bold yellow"),
    RolloutStatus.STOPPED: ("stopped", "bold red"),
    RolloutStatus.ABORTED: ("aborted", "bold yellow"),
}


def recap(
    outcome: "Outcome", *, rollout_id: str, glyphs: Glyphs, plan_file: str | None = None
) -> list[Text]:
    """Return the lines of a recap.

    Args:
        outcome: How the rollout ended.
        rollout_id: Its id.
        glyphs: The signs that the console can show.
        plan_file: The plan's file where it is known, for what to type next.
    """
    from kitsune.service.outcomes import Finished, Refused

    if isinstance(outcome, Finished):
        return list(_finished(outcome.result, rollout_id=rollout_id, glyphs=glyphs, plan=plan_file))
    if isinstance(outcome, Refused):
        return list(_refused(outcome, rollout_id=rollout_id, glyphs=glyphs))
    return list(_cut_short(outcome, rollout_id=rollout_id, glyphs=glyphs))


def names_text(names: Sequence[str], *, shown: int = _NAMES_SHOWN) -> str:
    """Return `server-1, server-2, server-3 and 34 more`."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return safe(", ".join(names[:shown])) + more


def lasted(started_at: datetime | None, ended_at: datetime | None) -> str:
    """Return how long something took, to the second, or nothing where that is not known."""
    if started_at is None or ended_at is None:
        return ""
    return format_duration(
        timedelta(seconds=max(0, round((ended_at - started_at).total_seconds())))
    )


def _finished(
    result: RolloutResult, *, rollout_id: str, glyphs: Glyphs, plan: str | None
) -> Iterator[Text]:
    yield from _headline(result, rollout_id=rollout_id)
    yield Text()
    for state, count in in_order(result.counts):
        yield (
            Text("  ").append_text(count_text(state, count, glyphs)).append(_beside(result, state))
        )
    yield from _failures(result, glyphs)
    yield from _undone(result, glyphs)
    for warning in result.warnings:
        yield Text().append(f"{glyphs.warning} ", style="yellow").append(safe(warning))
    yield from _next(result, rollout_id=rollout_id, plan=plan)


def _headline(result: RolloutResult, *, rollout_id: str) -> Iterator[Text]:
    word, style = _WORDS[result.status]
    took = lasted(result.started_at, result.ended_at)
    name = f" ({safe(result.name)})" if result.name else ""
    line = Text().append(safe(rollout_id), style="bold").append(f"{name}: ")
    undone = result.rollback_of and f"rollback of {safe(result.rollback_of)} "
    line.append(f"{undone or ''}{word}", style=style)
    line.append(f" in {took}" if took else "")
    yield line
    if result.reason:
        yield data_text(f"  {result.reason}")


def _beside(result: RolloutResult, state: str) -> str:
    """Return who is in a small or worrying state, and whom of them was undone."""
    listed = [server for server in result.results if server.status.value == state]
    undone = sum(1 for server in listed if _something_undone(server))
    parts = [f"{undone} rolled back"] if undone else []
    if state != ServerStatus.SUCCEEDED:
        parts.insert(0, names_text([server.server_id for server in listed]))
    return f"  {'; '.join(part for part in parts if part)}" if any(parts) else ""


def _failures(result: RolloutResult, glyphs: Glyphs) -> Iterator[Text]:
    broken = [
        server
        for server in result.results
        if server.error and server.status is not ServerStatus.NOT_STARTED
    ]
    causes = group_by_cause((server.server_id, server.error or "") for server in broken)
    if not causes:
        return
    status_of = {server.server_id: server.status.value for server in broken}
    yield Text()
    yield Text("Failures", style="bold")
    for cause in causes[:_CAUSES_SHOWN]:
        yield from _cause(cause, state=status_of[cause.servers[0]], glyphs=glyphs)
    if len(causes) > _CAUSES_SHOWN:
        yield Text(f"  {glyphs.ellipsis} {len(causes) - _CAUSES_SHOWN} more causes")


def _cause(cause: Cause, *, state: str, glyphs: Glyphs) -> Iterator[Text]:
    count = len(cause.servers)
    head = Text().append(f"  {glyph_of(state, glyphs)} ", style=look_of(state).style)
    head.append(f"{count} server{'' if count == 1 else 's'}: ", style="bold")
    yield head.append(names_text(cause.servers))
    lines = safe(cause.text, lines=True).splitlines()
    for line in lines[:_LINES_OF_A_CAUSE]:
        yield Text(f"      {line}")
    if len(lines) > _LINES_OF_A_CAUSE:
        yield Text(f"      {glyphs.ellipsis} {len(lines) - _LINES_OF_A_CAUSE} more lines")


def _undone(result: RolloutResult, glyphs: Glyphs) -> Iterator[Text]:
    tried = [server for server in result.results if server.rolled_back]
    undone = [server.server_id for server in tried if _something_undone(server)]
    untouched = [server.server_id for server in tried if not _something_undone(server)]
    stuck = [server for server in result.results if server.rollback_failed]
    left = [server.server_id for server in result.results if _left_half_way(server)]
    pending = [server.server_id for server in result.results if server.rollback_pending]
    if not tried and not stuck and not left and not pending:
        return
    yield Text()
    yield Text("Undone", style="bold")
    if undone:
        yield Text(f"  {glyphs.undone} rolled back: {names_text(undone, shown=_NAMES_TYPED)}")
    if untouched:
        names = names_text(untouched, shown=_NAMES_TYPED)
        yield Text(f"  {glyphs.warning} nothing that could be undone: {names}")
    if pending:
        names = names_text(pending, shown=_NAMES_TYPED)
        yield Text(f"  {glyphs.waiting} rollback pending, was away for too long: {names}")
    if left:
        names = names_text(left, shown=_NAMES_TYPED)
        yield Text(f"  {glyphs.warning} not undone, left half-way: {names}")
    for server in stuck:
        head = Text().append(f"  {glyphs.failed} ", style="bold red")
        yield head.append(f"rollback failed on {safe(server.server_id)}: see to it by hand")
        for error in _undo_errors(server):
            yield data_text(f"      {error}")


def _something_undone(server: ServerResult) -> bool:
    """Return whether a rollback changed anything; steps that cannot be undone leave what they did."""
    steps = server.steps_executed
    return server.rolled_back and (not steps or any(step.undone == "rolledBack" for step in steps))


def _left_half_way(server: ServerResult) -> bool:
    """Return whether a server was cancelled with steps done that nobody has undone."""
    begun = any(step.executions for step in server.steps_executed)
    undone = server.rolled_back or server.rollback_failed or server.rollback_pending
    return server.status is ServerStatus.CANCELLED and begun and not undone


def _undo_errors(server: ServerResult) -> Iterator[str]:
    for step in server.steps_executed:
        if step.undone == "rollbackFailed":
            first = next(iter((step.undo_error or "").splitlines()), "no reason given")
            yield f"step {step.name!r}: {first}"


def _next(result: RolloutResult, *, rollout_id: str, plan: str | None) -> Iterator[Text]:
    yield Text()
    shown_id = safe(rollout_id)
    if any(server.error and server.steps_executed for server in result.results):
        yield from _typed(
            f"kitsune logs {shown_id} --failed", "what the failing steps have printed"
        )
    yield from _typed(f"kitsune status {shown_id} -o json", "every step with its output")
    if result.rollback_failed or result.rollback_pending:
        yield from _typed(
            f"kitsune rollback {shown_id} --retry", "tries again what could not be undone"
        )
    if result.rollback_of:
        return
    left = [
        server.server_id for server in result.results if not server.success or server.rolled_back
    ]
    if any(server.status.value in _RETRIED for server in result.results):
        yield from _typed(f"kitsune retry {shown_id}", "the same plan, where it went wrong")
    if left and plan:
        few = ",".join(left) if len(left) <= _NAMES_TYPED else "@FILE"
        yield from _typed(
            f"kitsune run {safe(plan)} --servers {safe(few)}", "once the plan is mended"
        )
    if not result.success and result.servers_patched:
        yield from _typed(f"kitsune rollback {shown_id}", "undoes what has succeeded")


def _typed(command: str, why: str) -> Iterator[Text]:
    yield Text().append("  $ ", style="dim").append(command).append(f"    # {why}")


def _refused(refused: "Refused", *, rollout_id: str, glyphs: Glyphs) -> Iterator[Text]:
    yield (
        Text()
        .append(safe(rollout_id), style="bold")
        .append(": ")
        .append("refused; no server was touched", style="bold red")
    )
    texts = [problem.text for problem in refused.problems] or refused.message.splitlines()
    for text in texts[:_PROBLEMS_SHOWN]:
        yield Text().append(f"  {glyphs.failed} ", style="bold red").append(safe(text))
    if len(texts) > _PROBLEMS_SHOWN:
        yield Text(f"  {glyphs.ellipsis} {len(texts) - _PROBLEMS_SHOWN} more problems")


def _cut_short(cut: "CutShort", *, rollout_id: str, glyphs: Glyphs) -> Iterator[Text]:
    yield (
        Text()
        .append(safe(rollout_id), style="bold")
        .append(": ")
        .append(cut.state, style="bold red")
    )
    yield data_text(f"  {cut.message}")
    yield (
        Text()
        .append(f"  {glyphs.warning} ", style="yellow")
        .append(
            "what had begun on the servers was neither finished nor undone by Kitsune: look at them"
        )
    )
    yield Text()
    yield from _typed(f"kitsune status {safe(rollout_id)}", "the last that the rollout knew")
