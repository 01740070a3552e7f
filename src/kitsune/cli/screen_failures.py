"""The lower part of the live view: failures by cause, and what servers at work have printed last."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from kitsune.cli.console import Glyphs, safe
from kitsune.cli.recap import names_text
from kitsune.cli.screen_tree import moment
from kitsune.cli.states import glyph_of, look_of
from kitsune.models.progress import Progress, ServerProgress
from kitsune.rollout.causes import Cause, group_by_cause

if TYPE_CHECKING:
    from kitsune.service.running import RunningStep

_LINES_OF_A_CAUSE = 3
#: Rows that a line of an error takes at most, unless it is wanted whole.
_ROWS_OF_A_LINE = 2
#: On narrower screens lines are cut, not wrapped.
_LEAST_WRAPPED = 24
_NAMES_IN_A_HEAD = 3
_LINES_OF_AN_OUTPUT = 6


def failures(progress: Progress, glyphs: Glyphs, *, width: int, whole: bool = False) -> list[Text]:
    """Return the causes of failures, the most frequent first; `whole` names every server and keeps every line."""
    broken = [
        server
        for server in progress.servers
        if server.state not in ("succeeded", "notStarted") and server.error and server.ended_at
    ]
    if not broken:
        return []
    by_id = {server.server_id: server for server in broken}
    broken.sort(key=lambda server: moment(server.ended_at, none=0), reverse=True)
    causes = group_by_cause((server.server_id, server.error or "") for server in broken)
    places = {server.server_id: at for at, server in enumerate(progress.servers)}
    lines = [Text("Failures", style="bold")]
    for cause in causes:
        names = tuple(sorted(cause.servers, key=lambda name: places[name]))
        lines += _cause(Cause(cause.text, names), by_id, glyphs, width=width, whole=whole)
    return lines


def outputs(
    progress: Progress, steps: "Mapping[str, RunningStep]", glyphs: Glyphs, *, room: int
) -> list[Text]:
    """Return the last lines that servers at work have printed, as many servers as there is room for."""
    told = [step for step in steps.values() if _last_lines(step, 1)]
    if room < 2:  # noqa: PLR2004 - a head and a line
        return []
    if not told:
        return [Text("no server at work has printed anything lately", style="dim")]
    each = max(1, min(_LINES_OF_AN_OUTPUT, (room - 1) // len(told) - 1))
    lines: list[Text] = []
    for step in told:
        head = Text(f"{glyphs.running} {safe(step.server_id)}", style="cyan").append(
            f"  {safe(step.step)}", style="default"
        )
        lines += [head, *(Text(f"    {line}") for line in _last_lines(step, each))]
    lines.append(Text(f"whole: kitsune logs {safe(progress.rollout_id)} SERVER -f", style="dim"))
    return lines


def _last_lines(step: "RunningStep", count: int) -> Sequence[str]:
    said = [
        safe(line.expandtabs(8))
        for stream in ("stdout", "stderr")
        if stream in step.tails
        for line in step.tails[stream].data.decode(errors="replace").split("\n")[-1 - count :]
        if line.strip()
    ]
    return said[-count:] or ([safe(step.last_line)] if step.last_line else [])


def _cause(
    cause: Cause,
    by_id: Mapping[str, ServerProgress],
    glyphs: Glyphs,
    *,
    width: int,
    whole: bool,
) -> Iterator[Text]:
    servers = [by_id[name] for name in cause.servers]
    count = len(servers)
    head = Text().append(
        f"{glyph_of(servers[0].state, glyphs)} {count} server{'' if count == 1 else 's'}: ",
        style=look_of(servers[0].state).style,
    )
    head.append(names_text(cause.servers))
    for word, found in _undone(servers):
        head.append(f"  {found} {word}" if count > 1 else f"  {word}", style="yellow")
    yield head
    if whole and count > _NAMES_IN_A_HEAD:
        for row in _wrapped(safe(" ".join(cause.servers)), width=width, whole=True):
            yield Text(row, style="cyan")
    lines = safe(cause.text, lines=True).splitlines()
    for line in lines if whole else _ends(lines, glyphs):
        for row in _wrapped(line, width=width, whole=whole):
            yield Text(row, style="" if whole else "dim")


def _wrapped(text: str, *, width: int, whole: bool) -> list[str]:
    """Return a line of an error in as many rows as it needs, in two at most unless it is wanted whole."""
    if width < _LEAST_WRAPPED:
        return [f"    {text}"]
    rows = textwrap.wrap(
        text, width, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False
    )
    if whole or len(rows) <= _ROWS_OF_A_LINE:
        return rows or [""]
    # The last row is cut when the screen is drawn, with a sign that it is.
    kept = rows[: _ROWS_OF_A_LINE - 1]
    return [*kept, f"      {' '.join(row.strip() for row in rows[len(kept) :])}"]


def _ends(lines: list[str], glyphs: Glyphs) -> list[str]:
    """Return the first line of an error and its last ones: what it is, and what a program said last."""
    if len(lines) <= _LINES_OF_A_CAUSE:
        return lines
    left = len(lines) - _LINES_OF_A_CAUSE
    more = f"{glyphs.ellipsis} {left} line{'' if left == 1 else 's'} between"
    return [lines[0], more, *lines[-(_LINES_OF_A_CAUSE - 1) :]]


def _undone(servers: Sequence[ServerProgress]) -> Iterator[tuple[str, int]]:
    for word, attribute in (
        ("ROLLBACK FAILED", "rollback_failed"),
        ("ROLLBACK PENDING", "rollback_pending"),
        ("rolled back", "rolled_back"),
    ):
        if found := sum(getattr(server, attribute) for server in servers):
            yield word, found
