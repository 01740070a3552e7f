"""What servers say that a plan would change, as lines for people and as JSON."""

from collections.abc import Container, Iterator, Sequence
from typing import Any

from rich.text import Text

from kitsune.cli.console import Glyphs, data_text, safe
from kitsune.cli.recap import names_text
from kitsune.models.checks import CheckStatus
from kitsune.models.results import json_of
from kitsune.rollout.check_groups import CheckGroup, ServerCheck, StepGroups, worst_of

_NAMES_SHOWN = 5
_STYLES = {
    CheckStatus.IDENTICAL: "green",
    CheckStatus.DIFFERS: "yellow",
    CheckStatus.FAILS: "bold red",
    CheckStatus.UNKNOWN: "magenta",
}
_WORDS = {CheckStatus.FAILS: "would fail"}
_LINE_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def diff_lines(
    steps: Sequence[StepGroups],
    checks: Sequence[ServerCheck],
    *,
    signs: Glyphs,
    show_all: bool,
) -> Iterator[Text]:
    """Yield the answer for people."""
    shown = len(checks) if show_all else _NAMES_SHOWN
    silent = {check.server_id for check in checks if check.trouble}
    for step in steps:
        yield from _step(step, signs, shown=shown, silent=silent)
        yield Text()
    if silent:
        yield from _silent(checks, signs, shown=shown)
        yield Text()
    yield _summary(steps, checks, silent=silent)


def _silent(checks: Sequence[ServerCheck], signs: Glyphs, *, shown: int) -> Iterator[Text]:
    """Say once who has said nothing, and why."""
    for why in sorted({check.trouble for check in checks if check.trouble}):
        group = [check.server_id for check in checks if check.trouble == why]
        head = Text(
            f"{signs.unknown} {len(group)} server{'' if len(group) == 1 else 's'}: ",
            style=_STYLES[CheckStatus.UNKNOWN],
        )
        yield head.append(f"{names_text(group, shown=shown)}: {safe(why)}", style="default")


def _step(step: StepGroups, signs: Glyphs, *, shown: int, silent: Container[str]) -> Iterator[Text]:
    head = Text().append(f"{step.index + 1} {safe(step.name)}", style="bold")
    head.append(f" ({safe(step.type)}): ")
    counts = [
        Text(f"{_WORDS.get(status, status.value)} on {count}", style=_STYLES[status])
        for status in (
            CheckStatus.IDENTICAL, CheckStatus.DIFFERS, CheckStatus.FAILS, CheckStatus.UNKNOWN,
        )
        if (count := step.count(status))
    ]  # fmt: skip
    yield head.append_text(Text(", ").join(counts))
    for group in step.groups:
        told = all(server in silent for server in group.servers)
        if group.result.status is not CheckStatus.IDENTICAL and not told:
            yield from _group(group, signs, shown=shown)


def _group(group: CheckGroup, signs: Glyphs, *, shown: int) -> Iterator[Text]:
    result = group.result
    sign = {
        CheckStatus.FAILS: signs.failed,
        CheckStatus.DIFFERS: "~",
    }.get(result.status, signs.unknown)
    count = len(group.servers)
    head = Text(
        f"  {sign} {count} server{'' if count == 1 else 's'}: ", style=_STYLES[result.status]
    )
    yield head.append(names_text(group.servers, shown=shown), style="default")
    for line in [*result.changes, *([result.note] if result.note else [])]:
        yield data_text(f"      {_arrows(line, signs)}")
    for line in result.diff.split("\n") if result.diff else ():
        yield Text(f"      {safe(line.expandtabs(4))}", style=_LINE_STYLES.get(line[:1], ""))


def _arrows(line: str, signs: Glyphs) -> str:
    return line.replace(Glyphs().arrow, signs.arrow)


def _summary(
    steps: Sequence[StepGroups], checks: Sequence[ServerCheck], *, silent: Container[str]
) -> Text:
    """Say how servers stand to the whole plan, and of how many steps that cannot be said somewhere."""
    counts: dict[CheckStatus, int] = {}
    for check in checks:
        status = worst_of(check)
        counts[status] = counts.get(status, 0) + 1
    words = {
        CheckStatus.FAILS: "would fail",
        CheckStatus.DIFFERS: "would change",
        CheckStatus.UNKNOWN: "unknown",
        CheckStatus.IDENTICAL: "as the plan wants it",
    }
    parts = [
        Text(f"{counts[status]} {word}", style=_STYLES[status])
        for status, word in words.items()
        if counts.get(status)
    ]
    servers = f"{len(checks)} server{'' if len(checks) == 1 else 's'}: "
    line = Text(servers, style="bold").append_text(Text(", ").join(parts))
    unchecked = sum(_is_unchecked(step, silent) for step in steps)
    if unchecked:
        told = f"; {unchecked} of {len(steps)} step{'' if len(steps) == 1 else 's'} unknown"
        line.append(told, style=_STYLES[CheckStatus.UNKNOWN])
    return line


def _is_unchecked(step: StepGroups, silent: Container[str]) -> bool:
    """Return whether a server that has answered cannot check a step; those that are silent are told as such."""
    return any(
        server not in silent
        for group in step.groups
        if group.result.status is CheckStatus.UNKNOWN
        for server in group.servers
    )


def answers_json(steps: Sequence[StepGroups], checks: Sequence[ServerCheck]) -> dict[str, Any]:
    """Return the answer for programs."""
    return {
        "steps": [
            {
                "index": step.index,
                "name": step.name,
                "type": step.type,
                "groups": [
                    {**json_of(group.result), "servers": list(group.servers)}
                    for group in step.groups
                ],
            }
            for step in steps
        ],
        "byServer": {check.server_id: worst_of(check).value for check in checks},
    }
