"""The top of the live view: which rollout, what it does, how far it is, what it may still afford."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.text import Text

from kitsune.cli.console import Glyphs, safe
from kitsune.cli.states import AT_WORK, WAITING, count_text, in_order, look_of
from kitsune.cli.steering import hour
from kitsune.models.durations import format_duration
from kitsune.models.progress import Phase, Progress
from kitsune.rollout.estimate import time_left

_LONGEST_BAR = 60
_PHASES = {Phase.ROLLING_BACK: "ROLLING BACK", Phase.APPROVAL: "WAITS FOR APPROVAL"}
#: A guess is rounded to so many seconds, from so many seconds on: it is none to the second.
_ROUNDING = ((3600, 600), (600, 60), (60, 30), (10, 5), (0, 1))


def header(progress: Progress, *, now: datetime, width: int) -> list[Text]:
    """Return what a rollout is, in as many lines as the width asks for."""
    name = Text().append(safe(progress.rollout_id), style="bold")
    if progress.name:
        name.append(f"  {safe(progress.name)}")
    lines = [name, *flow(list(_facts(progress, now)), width=width)]
    if progress.reason:
        lines.append(Text(safe(progress.reason), style="bold red"))
    return lines


def bar(progress: Progress, *, width: int, glyphs: Glyphs) -> list[Text]:
    """Return the bar, and the count of servers in each state."""
    if not progress.total:
        return []
    length = max(1, min(width, _LONGEST_BAR))
    drawn = Text()
    begun = [item for item in in_order(progress.counts) if item[0] not in ("pending", "notStarted")]
    for (state, _), cells in zip(
        begun,
        _cells([count for _, count in begun], total=progress.total, length=length),
        strict=True,
    ):
        sign = glyphs.partial if state in (*AT_WORK, *WAITING) else glyphs.full
        drawn.append(sign * cells, style=look_of(state).style)
    drawn.append(glyphs.empty * (length - len(drawn)), style="dim")
    counts = [count_text(state, count, glyphs) for state, count in in_order(progress.counts)]
    return [drawn, *flow(counts, width=width)]


def clock(since: datetime | None, now: datetime) -> str:
    """Return the time since then as `4:07` or `1:04:07`; empty where there is no then."""
    if since is None:
        return ""
    seconds = max(0, int((now - since).total_seconds()))
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def flow(parts: Sequence[Text], *, width: int) -> list[Text]:
    """Return parts side by side, in as many lines as the width asks for."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + 2 + part.cell_len <= width:
            lines[-1].append("  ").append_text(part)
        else:
            lines.append(part.copy())
    return lines


def about(left: timedelta) -> str:
    """Return a guess as `about 4m left`."""
    seconds = left.total_seconds()
    step = next(step for least, step in _ROUNDING if seconds >= least)
    rounded = timedelta(seconds=max(1, round(seconds / step)) * step)
    return f"about {format_duration(rounded)} left"


def _facts(progress: Progress, now: datetime) -> "list[Text]":
    phase = _PHASES.get(progress.phase, progress.phase.value.upper())
    facts = [Text(phase, style="bold cyan")]
    if progress.paused and progress.phase is not Phase.DONE:
        facts = [Text("PAUSED", style="bold yellow")]
    elif not progress.total and not progress.name:
        facts = [Text("nothing was heard of it yet", style="dim")]
    if progress.batch is not None and progress.batch_count:
        canary = any(batch.canary for batch in progress.batches if batch.index == progress.batch)
        facts.append(
            Text(f"batch {progress.batch + 1}/{progress.batch_count}{' canary' if canary else ''}")
        )
    if progress.started_at:
        facts.append(Text(clock(progress.started_at, now)))
    if progress.wait_until and progress.wait_until > now:
        left = timedelta(seconds=round((progress.wait_until - now).total_seconds()))
        facts.append(Text(f"next batch in {format_duration(left)}", style="cyan"))
    if guess := time_left(progress, now=now):
        facts.append(Text(about(guess), style="dim"))
    if progress.deadline and progress.phase is not Phase.DONE:
        facts.append(Text(f"deadline {hour(progress.deadline, now)}"))
    if progress.total:
        style = "bold red" if progress.failures else ""
        failed = f"{progress.failures} failed, {safe(progress.limit_text)}"
        facts.append(Text(failed, style=style))
    return facts


def _cells(counts: Sequence[int], *, total: int, length: int) -> list[int]:
    """Return how many cells each count gets: its share, but at least one while there are enough."""
    cells = [max(1, count * length // total) for count in counts]
    while sum(cells) > length:
        cells[cells.index(max(cells))] -= 1
    return cells
