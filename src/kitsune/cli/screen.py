"""The live view as lines: a pure function of a rollout's progress and the terminal's size."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.text import Text

from kitsune.cli.console import Glyphs, safe
from kitsune.cli.states import AT_WORK, WAITING, count_text, glyph_of, in_order, look_of
from kitsune.cli.steering import hour, steering_lines
from kitsune.models.durations import format_duration
from kitsune.models.progress import BatchProgress, Phase, Progress, ServerProgress

if TYPE_CHECKING:
    from kitsune.service.running import RunningStep

#: Running servers whose steps are asked for and shown, at most.
RUNNING_SHOWN = 8
_BATCHES_SHOWN = 5
_LINES_OF_AN_ERROR = 3
_LONGEST_BAR = 60
_HINT = "Ctrl-C detaches; the rollout goes on"
#: States that fill the bar from the left, in this order; the rest stays empty.
_PHASES = {Phase.ROLLING_BACK: "ROLLING BACK", Phase.APPROVAL: "WAITS FOR APPROVAL"}


@dataclass(frozen=True)
class Frame:
    """What one drawing is made of.

    Attributes:
        steps: Current steps by server id, as far as they are known.
        note: Something to say about the connection; empty when all is well.
    """

    progress: Progress
    steps: "Mapping[str, RunningStep]" = field(default_factory=dict)
    note: str = ""


def draw(frame: Frame, *, now: datetime, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """Return at most `height` lines of at most `width` columns; what matters most is never left out."""
    progress = frame.progress
    top = [*_header(progress, now=now, width=width), *_bar(progress, width=width, glyphs=glyphs)]
    top += _fit(list(steering_lines(progress, now=now, glyphs=glyphs)), height // 2, glyphs)
    bottom = [Text(_HINT, style="dim")]
    if frame.note:
        bottom.insert(0, Text(f"{glyphs.warning} {safe(frame.note)}", style="bold yellow"))
    room = max(0, height - len(top) - len(bottom))
    failures = _fit(
        list(_failures(progress, glyphs)), max(room // 2, room - _BATCHES_SHOWN - 6), glyphs
    )
    room -= len(failures)
    batches = list(_batches(progress, glyphs))[: max(0, room // 2)]
    running = _running(frame, now=now, room=room - len(batches), glyphs=glyphs)
    lines = [*top, *batches, *running, *failures, *bottom]
    if len(lines) > height:
        lines = [*lines[: max(0, height - len(bottom))], *bottom][:height]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def summary(progress: Progress, *, now: datetime, width: int, glyphs: Glyphs) -> list[Text]:
    """Return what a rollout is as a whole: its header, its bar, its batches."""
    return [
        *_header(progress, now=now, width=width),
        *_bar(progress, width=width, glyphs=glyphs),
        *steering_lines(progress, now=now, glyphs=glyphs),
        *_batches(progress, glyphs),
    ]


def shown_at_work(progress: Progress) -> list[str]:
    """Return the servers whose current steps a drawing shows."""
    return [
        server.server_id for server in _busy(progress)[:RUNNING_SHOWN] if server.state in AT_WORK
    ]


def clock(since: datetime | None, now: datetime) -> str:
    """Return the time since then as `4:07` or `1:04:07`; empty where there is no then."""
    if since is None:
        return ""
    seconds = max(0, int((now - since).total_seconds()))
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def _header(progress: Progress, *, now: datetime, width: int) -> list[Text]:
    facts = [Text(_PHASES.get(progress.phase, progress.phase.value.upper()), style="bold cyan")]
    if progress.batch is not None and progress.batch_count:
        canary = any(batch.canary for batch in progress.batches if batch.index == progress.batch)
        facts.append(
            Text(f"batch {progress.batch + 1}/{progress.batch_count}{' canary' if canary else ''}")
        )
    if progress.started_at:
        facts.append(Text(clock(progress.started_at, now)))
    if progress.wait_until and progress.wait_until > now:
        left = timedelta(seconds=round((progress.wait_until - now).total_seconds()))
        facts.append(Text(f"{format_duration(left)} left", style="cyan"))
    if progress.deadline and progress.phase is not Phase.DONE:
        facts.append(Text(f"deadline {hour(progress.deadline, now)}"))
    if progress.total:
        failures = f"{progress.failures} failure{'' if progress.failures == 1 else 's'}"
        facts.append(
            Text(
                f"{failures}, {safe(progress.limit_text)}",
                style="bold red" if progress.failures else "",
            )
        )
    name = Text().append(safe(progress.rollout_id), style="bold")
    if progress.name:
        name.append(f"  {safe(progress.name)}")
    lines = [name, *_flow(facts, width=width)]
    if progress.reason:
        lines.append(Text(safe(progress.reason), style="bold red"))
    return lines


def _bar(progress: Progress, *, width: int, glyphs: Glyphs) -> list[Text]:
    if not progress.total:
        return []
    length = max(1, min(width, _LONGEST_BAR))
    bar = Text()
    begun = [item for item in in_order(progress.counts) if item[0] not in ("pending", "notStarted")]
    for (state, _), cells in zip(
        begun,
        _cells([count for _, count in begun], total=progress.total, length=length),
        strict=True,
    ):
        sign = glyphs.partial if state in (*AT_WORK, *WAITING) else glyphs.full
        bar.append(sign * cells, style=look_of(state).style)
    bar.append(glyphs.empty * (length - len(bar)), style="dim")
    counts = [count_text(state, count, glyphs) for state, count in in_order(progress.counts)]
    return [bar, *_flow(counts, width=width)]


def _cells(counts: Sequence[int], *, total: int, length: int) -> list[int]:
    """Return how many cells each count gets: its share, but at least one while there are enough."""
    cells = [max(1, count * length // total) for count in counts]
    while sum(cells) > length:
        cells[cells.index(max(cells))] -= 1
    return cells


def _batches(progress: Progress, glyphs: Glyphs) -> Iterator[Text]:
    if progress.batch_count <= 1 or progress.batch is None:
        return
    current = next(
        (at for at, batch in enumerate(progress.batches) if batch.index == progress.batch), 0
    )
    start = max(0, min(current - 1, len(progress.batches) - _BATCHES_SHOWN))
    for batch in progress.batches[start : start + _BATCHES_SHOWN]:
        yield _batch(batch, progress.batch_count, glyphs)


def _batch(batch: BatchProgress, count: int, glyphs: Glyphs) -> Text:
    sign, style = {
        "done": (glyphs.ok, "green"),
        "running": (glyphs.running, "cyan"),
    }.get(batch.state, (glyphs.pending, "dim"))
    canary = " canary" if batch.canary else ""
    number = f"{batch.index + 1}/{count}"
    return Text(f"{sign} batch {number}{canary}  {batch.ended}/{batch.servers} ended", style=style)


def _busy(progress: Progress) -> list[ServerProgress]:
    """Return the servers at work or waiting, the longest at it first."""
    busy = [server for server in progress.servers if server.state in (*AT_WORK, *WAITING)]
    return sorted(busy, key=lambda server: _moment(server.started_at, none=math.inf))


def _running(frame: Frame, *, now: datetime, room: int, glyphs: Glyphs) -> list[Text]:
    busy = _busy(frame.progress)
    lines = [_busy_server(server, frame, now, glyphs) for server in busy[:RUNNING_SHOWN]]
    if len(busy) > len(lines):
        left = len(busy) - len(lines)
        lines.append(Text(f"{glyphs.ellipsis} {left} more at work", style="dim"))
    return _fit(lines, room, glyphs)


def _busy_server(server: ServerProgress, frame: Frame, now: datetime, glyphs: Glyphs) -> Text:
    look = look_of(server.state)
    line = Text().append(
        f"{glyph_of(server.state, glyphs)} {safe(server.server_id)}", style=look.style
    )
    line.append(f"  {clock(server.started_at, now)}", style="dim")
    step = frame.steps.get(server.server_id)
    if step is None:
        return line.append(f"  {safe(server.error or look.word)}")
    attempt = f" (delivery {step.attempt})" if step.attempt > 1 else ""
    line.append(f"  {safe(step.step)}{attempt}")
    if step.last_line:
        line.append(f"  {safe(step.last_line)}", style="dim")
    return line


def _failures(progress: Progress, glyphs: Glyphs) -> Iterator[Text]:
    """Yield the servers that did not succeed, the latest first: its error is news."""
    broken = [
        server
        for server in progress.servers
        if server.state not in ("succeeded", "notStarted") and server.error and server.ended_at
    ]
    broken.sort(key=lambda server: _moment(server.ended_at, none=0), reverse=True)
    for server in broken:
        undone = "  rolled back" if server.rolled_back else ""
        undone = "  ROLLBACK FAILED" if server.rollback_failed else undone
        undone = "  ROLLBACK PENDING" if server.rollback_pending else undone
        lines = safe(server.error or "", lines=True).splitlines()
        head = Text().append(
            f"{glyph_of(server.state, glyphs)} {safe(server.server_id)}",
            style=look_of(server.state).style,
        )
        yield head.append(f"{undone}  {lines[0] if lines else ''}")
        for line in lines[1:][-_LINES_OF_AN_ERROR:]:
            yield Text(f"    {line}", style="dim")


def _moment(time: datetime | None, *, none: float) -> float:
    return time.timestamp() if time else none


def _fit(lines: list[Text], room: int, glyphs: Glyphs) -> list[Text]:
    if len(lines) <= room:
        return lines
    if room <= 0:
        return []
    return [
        *lines[: room - 1],
        Text(f"{glyphs.ellipsis} {len(lines) - room + 1} more lines", style="dim"),
    ]


def _flow(parts: Sequence[Text], *, width: int) -> list[Text]:
    """Return parts side by side, in as many lines as the width asks for."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + 2 + part.cell_len <= width:
            lines[-1].append("  ").append_text(part)
        else:
            lines.append(part.copy())
    return lines
