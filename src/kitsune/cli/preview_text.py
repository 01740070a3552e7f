"""A preview for eyes: batches, limits, steps, warnings."""

from collections.abc import Iterator
from datetime import timedelta

from rich.text import Text

from kitsune.cli.console import Glyphs, data_text, wrapped
from kitsune.cli.tables import Cell, Column, table_lines, table_rows
from kitsune.models.durations import format_duration
from kitsune.rollout.preview import BatchPreview, Preview, StepPreview, absence_rule

_BATCHES_SHOWN = 10
_SERVERS_SHOWN = 5
_RULE_INDENT = 8
_UNDO = {
    "full": "can be undone",
    "partial": "can be undone as far as its rollback goes",
    "none": "cannot be undone",
    None: "only the servers know",
}
_ROLLBACK = {
    "none": "nothing is undone",
    "server": "a server that fails undoes its own steps",
    "fleet": "when the rollout stops, servers that had succeeded are undone as well",
}
_ON_STOP = {
    "drain": "servers in flight finish",
    "cancel": "servers in flight are cancelled",
}


def preview_lines(
    preview: Preview, *, signs: Glyphs, show_all: bool, width: int | None = None
) -> Iterator[Text]:
    """Yield a preview line by line.

    Args:
        preview: What a plan would do.
        signs: What the stream can write.
        show_all: Name every batch and server; otherwise long lists are shortened.
        width: Columns of the terminal, in which lines break between words; None: no line breaks.
    """
    head = data_text(preview.name, "bold").append(_head(preview), style="not bold")
    yield from wrapped(head, width, hang=2)
    yield Text()
    yield from _batches(preview, signs=signs, show_all=show_all, width=width)
    yield Text()
    for rule in _rules(preview):
        yield from wrapped(rule, width, hang=_RULE_INDENT)
    yield Text()
    yield from table_lines(
        [
            Column("step", right=True),
            Column("name"),
            Column("type"),
            Column("timeout"),
            *_STEP_ENDS,
        ],
        [_step(step) for step in preview.steps],
        width=width,
    )
    warnings = [*preview.warnings, *(_unknown(word) for word in preview.unknown_types)]
    if warnings:
        yield Text()
    for warning in warnings:
        line = Text(f"{signs.warning} ", style="yellow").append_text(data_text(warning, "default"))
        yield from wrapped(line, width, hang=2)


_STEP_ENDS = (Column("executions", right=True), Column("undo"))


def _head(preview: Preview) -> str:
    servers = f"{preview.servers:,} server{'' if preview.servers == 1 else 's'}"
    batches = f"{len(preview.batches):,} batch{'' if len(preview.batches) == 1 else 'es'}"
    return f": {preview.strategy}, {servers} in {batches}, at most {preview.at_once} at once"


def _batches(
    preview: Preview, *, signs: Glyphs, show_all: bool, width: int | None
) -> Iterator[Text]:
    shown = preview.batches
    if not show_all and len(shown) > _BATCHES_SHOWN:
        shown = [*preview.batches[: _BATCHES_SHOWN - 1], preview.batches[-1]]
    rows = table_rows(
        [
            Column("batch", right=True),
            Column("size", right=True),
            Column("then"),
            Column("servers"),
        ],
        [_batch(batch, signs=signs, show_all=show_all) for batch in shown],
        width=width,
    )
    left = len(preview.batches) - len(shown)
    more = Text(f"  {signs.ellipsis} {left:,} more batches (--all names them)", style="dim")
    for row in [*rows[:-1], *([[more]] if left else []), rows[-1]]:
        yield from row


def _batch(batch: BatchPreview, *, signs: Glyphs, show_all: bool) -> list[Cell]:
    wait = format_duration(timedelta(seconds=batch.wait_after_seconds))
    waits = [f"wait {wait}"] if batch.wait_after_seconds else []
    waits += [f"approve {batch.gate}"] if batch.gate else []
    then = ", ".join(waits)
    names = list(batch.servers)
    if not show_all and len(names) > _SERVERS_SHOWN:
        servers = f"{', '.join(names[:3])} {signs.ellipsis} {names[-1]}"
    else:
        servers = ", ".join(names)
    canary = " (canary)" if batch.canary else ""
    return [f"{batch.index + 1}", f"{len(names):,}", then, servers + canary]


def _rules(preview: Preview) -> Iterator[Text]:
    yield _rule("stop", f"{preview.limit_text}; then {_ON_STOP[preview.on_stop]}")
    if any(batch.canary for batch in preview.batches):
        yield _rule("canary", "one failure there stops the rollout, whatever maxFailures says")
    if any(batch.gate for batch in preview.batches):
        timeout = preview.approval_timeout
        end = f"{format_duration(timeout)}, then the rollout stops" if timeout else "for ever"
        yield _rule("gates", f"each waits for a person, {end}")
    yield from _deadlines(preview)
    if preview.on_failure == "ask":
        yield _rule("asks", "a server that fails is held until a person says what becomes of it")
    yield _rule("away", absence_rule(preview))
    if preview.rollback_of:
        yield _rule("undo", f"this undoes {preview.rollback_of}, newest servers first")
    else:
        yield _rule("undo", _ROLLBACK[preview.rollback])


def _deadlines(preview: Preview) -> Iterator[Text]:
    limits = []
    if preview.deadline is not None:
        limits.append(f"after {format_duration(preview.deadline)}")
    if preview.progress_deadline is not None:
        limits.append(f"when no server ends for {format_duration(preview.progress_deadline)}")
    if limits:
        yield _rule("time", f"it stops {' or '.join(limits)}; pauses do not count")


def _rule(name: str, sentence: str) -> Text:
    return Text(f"{name:>{_RULE_INDENT - 2}}  ", style="bold").append_text(
        data_text(sentence, "not bold")
    )


def _step(step: StepPreview) -> list[Cell]:
    undo = f"{_UNDO[step.undo]}{f': {step.undo_note}' if step.undo_note else ''}"
    executions = "?" if step.executions is None else f"{step.executions}"
    ends = "" if step.stops_server else "; its failure stops nothing"
    return [
        f"{step.index + 1}",
        step.name,
        step.type,
        format_duration(step.timeout),
        executions,
        (f"{undo}{ends}", "yellow" if step.undo == "none" else ""),
    ]


def _unknown(step_type: str) -> str:
    return f"step type {step_type!r} is not installed here: servers are asked before they run it"
