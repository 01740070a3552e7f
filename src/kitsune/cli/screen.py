"""The live view as lines: a pure function of a rollout's progress, of what keys have asked for, and of the terminal's size."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from rich.text import Text

from kitsune.cli.console import Glyphs, safe
from kitsune.cli.controls import ASK_ABORT, KEYS, Ui, hints
from kitsune.cli.screen_failures import failures, outputs
from kitsune.cli.screen_head import bar, header
from kitsune.cli.screen_tree import RUNNING_SHOWN, batch_lines, busy_servers, tree
from kitsune.cli.states import AT_WORK
from kitsune.cli.steering import steering_lines
from kitsune.models.progress import Progress

if TYPE_CHECKING:
    from kitsune.service.running import RunningStep

_HINT = "Ctrl-C detaches; the rollout goes on"
#: Lines that the tree gets at least, where there are any at all.
_TREE_AT_LEAST = 6
_ROWS_OF_A_NOTE = 3
#: Lines that help, logs or failures get at least, on however small a screen: somebody has asked for them.
_ASKED_AT_LEAST = 3


@dataclass(frozen=True)
class Frame:
    """What one drawing is made of.

    Attributes:
        steps: Current steps by server id, as far as they are known.
        note: Something to say about the connection; empty when all is well.
        ui: What keys have asked for.
        keys: Whether there is a keyboard.
    """

    progress: Progress
    steps: "Mapping[str, RunningStep]" = field(default_factory=dict)
    note: str = ""
    ui: Ui = field(default_factory=Ui)
    keys: bool = False


def draw(frame: Frame, *, now: datetime, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """Return at most `height` lines of at most `width` columns; what matters most is never left out."""
    progress = frame.progress
    top = [
        *header(progress, now=now, width=width),
        *bar(progress, width=width, glyphs=glyphs),
        *_fit(list(steering_lines(progress, now=now, glyphs=glyphs)), height // 2, glyphs),
    ]
    bottom = _bottom(frame, width=width, glyphs=glyphs)
    if frame.ui.help or frame.ui.logs or frame.ui.failed_only:
        top = top[: max(0, height - len(bottom) - _ASKED_AT_LEAST)]
    room = max(0, height - len(top) - len(bottom))
    middle = _middle(frame, now=now, width=width, room=room, glyphs=glyphs)
    lines = [*top, *(line for part in middle for line in part), *bottom]
    parts = [part for part in (top, *middle, bottom) if part]
    if len(lines) + len(parts) - 1 <= height:  # room for a blank line between them
        lines = [line for part in parts for line in (*part, Text())][:-1]
    if len(lines) > height:
        lines = [*lines[: max(0, height - len(bottom))], *bottom][-height:]
    for line in lines:
        line.truncate(width, overflow="ellipsis" if glyphs.ellipsis == "…" else "crop")
    return lines


def summary(progress: Progress, *, now: datetime, width: int, glyphs: Glyphs) -> list[Text]:
    """Return what a rollout is as a whole: its header, its bar, its batches."""
    return [
        *header(progress, now=now, width=width),
        *bar(progress, width=width, glyphs=glyphs),
        *steering_lines(progress, now=now, glyphs=glyphs),
        *batch_lines(progress, now=now, glyphs=glyphs),
    ]


def shown_at_work(progress: Progress) -> list[str]:
    """Return the servers whose current steps a drawing shows."""
    busy = busy_servers(progress)[:RUNNING_SHOWN]
    return [server.server_id for server in busy if server.state in AT_WORK]


def _middle(
    frame: Frame, *, now: datetime, width: int, room: int, glyphs: Glyphs
) -> list[list[Text]]:
    """Return what stands between top and bottom, in parts that belong together."""
    if frame.ui.help:
        lines = [Text(f"  {key}  {meaning}") for key, meaning in KEYS.items()]
        head = [Text("Keys", style="bold")] if room > len(lines) else []
        return [_fit([*head, *lines], room, glyphs)]
    found = failures(frame.progress, glyphs, width=width, whole=frame.ui.failed_only)
    if frame.ui.failed_only:
        none = Text("nothing has failed so far", style="dim")
        return [_fit(found or [none], room, glyphs)]
    if frame.ui.logs:
        found = _fit(found, room // 3, glyphs)
        told = outputs(frame.progress, frame.steps, glyphs, room=room - len(found))
        return [_fit(told, room - len(found), glyphs), found]
    found = _fit(found, max(room // 2, room - _TREE_AT_LEAST), glyphs)
    left = room - len(found)
    return [tree(frame.progress, frame.steps, now=now, room=left, glyphs=glyphs), found]


def _bottom(frame: Frame, *, width: int, glyphs: Glyphs) -> list[Text]:
    lines = []
    if frame.note:
        rows = textwrap.wrap(f"{glyphs.warning} {safe(frame.note)}", max(width, 2))
        lines += [Text(row, style="bold yellow") for row in rows[:_ROWS_OF_A_NOTE]]
    if frame.ui.asking:
        lines.append(Text(ASK_ABORT, style="bold red"))
    elif frame.ui.message:
        lines.append(Text(safe(frame.ui.message), style="bold"))
    hint = hints(frame.progress, frame.ui, width=width) if frame.keys else _HINT
    return [*lines, Text(hint, style="dim")]


def _fit(lines: list[Text], room: int, glyphs: Glyphs) -> list[Text]:
    if len(lines) <= room:
        return lines
    if room <= 0:
        return []
    return [
        *lines[: room - 1],
        Text(f"{glyphs.ellipsis} {len(lines) - room + 1} more lines", style="dim"),
    ]
