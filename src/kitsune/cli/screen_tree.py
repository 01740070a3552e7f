"""The middle of the live view: canary, batches and gates, with only those open that have servers at work."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from kitsune.cli.console import Glyphs, safe
from kitsune.cli.screen_head import clock
from kitsune.cli.states import AT_WORK, WAITING, glyph_of, look_of
from kitsune.models.progress import BatchProgress, Progress, ServerProgress

if TYPE_CHECKING:
    from kitsune.service.running import RunningStep

#: Running servers whose steps are asked for and shown, at most.
RUNNING_SHOWN = 8
#: Ended and coming batches that have a line of their own beside the current one.
_BATCHES_BESIDE = 2
_LONGEST_NAME = 40
_FAILED = frozenset({"failed", "unreachable", "unknown"})


def tree(
    progress: Progress,
    steps: "Mapping[str, RunningStep]",
    *,
    now: datetime,
    room: int,
    glyphs: Glyphs,
) -> list[Text]:
    """Return at most `room` lines; batches give way to servers at work."""
    busy = busy_servers(progress)
    if progress.batch_count <= 1 or progress.batch is None:
        return _servers(busy, steps, now=now, room=room, glyphs=glyphs, indent="")
    batches = _Batches(progress, now=now, glyphs=glyphs)
    lines = batches.lines
    spare = max(0, room - len(lines))
    if len(lines) > room:
        lines = batches.current_only[:room]
        spare = room - len(lines)
    return _with_servers(lines, busy, steps, now=now, spare=spare, glyphs=glyphs)


def batch_lines(progress: Progress, *, now: datetime, glyphs: Glyphs) -> list[Text]:
    """Return the batches alone."""
    if progress.batch_count <= 1 or progress.batch is None:
        return []
    return [line for _, line in _Batches(progress, now=now, glyphs=glyphs).lines]


def busy_servers(progress: Progress) -> list[ServerProgress]:
    """Return the servers at work or waiting, the longest at it first."""
    busy = [server for server in progress.servers if server.state in (*AT_WORK, *WAITING)]
    return sorted(busy, key=lambda server: moment(server.started_at, none=math.inf))


def moment(time: datetime | None, *, none: float) -> float:
    """Return a time as a number to sort by."""
    return time.timestamp() if time else none


#: A line, and the index of the batch below which its servers stand.
_Line = tuple[int | None, Text]


class _Batches:
    """The batches of a rollout as lines: those around the current one, the others counted."""

    def __init__(self, progress: Progress, *, now: datetime, glyphs: Glyphs) -> None:
        self._progress, self._now, self._glyphs = progress, now, glyphs
        self._servers: dict[int | None, list[ServerProgress]] = defaultdict(list)
        for server in progress.servers:
            self._servers[server.batch].append(server)
        self.lines = list(self._lines())
        self.current_only = [line for line in self.lines if line[0] == progress.batch]

    def _lines(self) -> Iterator[_Line]:
        progress, glyphs = self._progress, self._glyphs
        current = progress.batch or 0
        listed = progress.batches
        open_ones = {batch for batch, found in self._servers.items() if _any_busy(found)}
        near = [
            batch
            for batch in listed
            if abs(batch.index - current) <= _BATCHES_BESIDE or batch.index in open_ones
        ]
        before = (near[0].index if near else current) if listed else current
        if before:
            yield None, Text(f"{glyphs.ok} {_counted(before)} done", style="green")
        ended = [batch.index for batch in near if batch.state == "done"]
        for batch in near:
            yield batch.index, self._batch(batch)
            if progress.gate and ended and batch.index == ended[-1]:
                text = f"{glyphs.waiting} gate {safe(progress.gate.id)}"
                yield None, Text(text, style="bold yellow")
        after = progress.batch_count - 1 - (near[-1].index if near else current)
        if after > 0:
            yield None, Text(f"{glyphs.pending} {_counted(after)} to come", style="dim")

    def _batch(self, batch: BatchProgress) -> Text:
        sign, style = {
            "done": (self._glyphs.ok, "green"),
            "running": (self._glyphs.running, "cyan"),
        }.get(batch.state, (self._glyphs.pending, "dim"))
        name = f"batch {batch.index + 1}/{self._progress.batch_count}{' canary' if batch.canary else ''}"
        failed = sum(server.state in _FAILED for server in self._servers[batch.index])
        if failed and batch.state == "done":
            sign, style = self._glyphs.warning, "yellow"
        if batch.state == "pending":
            return Text(f"{sign} {name}  {batch.servers} to come", style=style)
        line = Text(f"{sign} {name}  {batch.ended}/{batch.servers}", style=style)
        if took := self._took(batch):
            line.append(f"  {took}", style="dim")
        if failed:
            line.append(f"  {failed} failed", style="bold red")
        return line

    def _took(self, batch: BatchProgress) -> str:
        servers = self._servers[batch.index]
        begun = min((server.started_at for server in servers if server.started_at), default=None)
        ends = [server.ended_at for server in servers if server.ended_at]
        return clock(begun, max(ends) if batch.state == "done" and ends else self._now)


def _with_servers(
    lines: Sequence[_Line],
    busy: Sequence[ServerProgress],
    steps: "Mapping[str, RunningStep]",
    *,
    now: datetime,
    spare: int,
    glyphs: Glyphs,
) -> list[Text]:
    """Put the servers at work below their batches."""
    places = [batch for batch, _ in lines if batch is not None]
    found: list[Text] = []
    for batch, line in lines:
        found.append(line)
        mine = [server for server in busy if batch is not None and server.batch == batch]
        if batch is not None and batch == (places[-1] if places else None):
            mine += [server for server in busy if server.batch not in places]
        below = _servers(mine, steps, now=now, room=spare, glyphs=glyphs, indent="  ")
        spare -= len(below)
        found += below
    return found


def _servers(
    busy: Sequence[ServerProgress],
    steps: "Mapping[str, RunningStep]",
    *,
    now: datetime,
    room: int,
    glyphs: Glyphs,
    indent: str,
) -> list[Text]:
    if not busy or room <= 0:
        return []
    shown = busy[: min(RUNNING_SHOWN, room)]
    if len(busy) > len(shown) and len(shown) == room:
        shown = shown[:-1]
    widest = max((cell_len(safe(server.server_id)) for server in shown), default=0)
    lines = [
        _server(server, steps, now, glyphs, width=min(widest, _LONGEST_NAME)) for server in shown
    ]
    if left := len(busy) - len(shown):
        lines.append(Text(f"{glyphs.ellipsis} {left} more at work", style="dim"))
    if not indent:
        return lines
    return [
        Text(
            f"{indent}{glyphs.last if at == len(lines) - 1 else glyphs.branch} ", style="dim"
        ).append_text(line)
        for at, line in enumerate(lines)
    ]


def _server(
    server: ServerProgress,
    steps: "Mapping[str, RunningStep]",
    now: datetime,
    glyphs: Glyphs,
    *,
    width: int,
) -> Text:
    look = look_of(server.state)
    name = safe(server.server_id)
    line = Text().append(f"{glyph_of(server.state, glyphs)} {name}", style=look.style)
    line.append(" " * max(0, width - cell_len(name)))
    line.append(f"  {clock(server.started_at, now)}", style="dim")
    step = steps.get(server.server_id)
    if step is None:
        return line.append(f"  {safe(server.error or look.word)}")
    attempt = f" (delivery {step.attempt})" if step.attempt > 1 else ""
    line.append(f"  {safe(step.step)}{attempt}")
    if step.last_line:
        line.append(f"  {safe(step.last_line)}", style="dim")
    return line


def _any_busy(servers: Iterable[ServerProgress]) -> bool:
    return any(server.state in (*AT_WORK, *WAITING) for server in servers)


def _counted(count: int) -> str:
    return f"{count} batch{'' if count == 1 else 'es'}"
