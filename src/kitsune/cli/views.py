"""Who is told while a rollout is followed: a person at a terminal, a log, a program, or nobody."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group
from rich.live import Live

from kitsune.cli.console import glyphs, print_json, print_line, stderr_console
from kitsune.cli.events import Event, events_between
from kitsune.cli.screen import Frame, draw, shown_at_work
from kitsune.models.progress import Progress

if TYPE_CHECKING:
    from kitsune.service.running import RunningStep


class View(Protocol):
    """Shows a rollout that goes on; `close` leaves the terminal as it was."""

    def show(self, progress: Progress) -> None:
        """Show a new look at the rollout."""

    def wanted(self, progress: Progress) -> list[str]:
        """Return the servers whose current step this view shows."""

    def show_steps(self, steps: "Mapping[str, RunningStep]") -> None:
        """Show what those servers are doing."""

    def note(self, text: str, *, passing: bool) -> None:
        """Say something about the connection; a passing note stands until the next look."""

    def close(self) -> None:
        """Stop showing."""


class LiveView:
    """One screen on a terminal, drawn again at each look and gone at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._frame: Frame | None = None
        self._steps: Mapping[str, RunningStep] = {}
        self._note = ""
        # Streams stay as they are: what others print goes above the view or to a file.
        self._live = Live(
            console=console,
            transient=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._live.start()

    def show(self, progress: Progress) -> None:
        """Draw a new look."""
        self._note = ""
        self._frame = Frame(progress=progress, steps=self._steps)
        self._draw()

    def wanted(self, progress: Progress) -> list[str]:
        """Return the servers that the next drawing has lines for."""
        return shown_at_work(progress)

    def show_steps(self, steps: "Mapping[str, RunningStep]") -> None:
        """Keep the steps for the next drawing."""
        self._steps = steps

    def note(self, text: str, *, passing: bool) -> None:
        """Show a note under the last look, for as long as no new one arrives."""
        self._note = "" if passing else text
        self._draw()

    def close(self) -> None:
        """Wipe the view."""
        self._live.stop()

    def _draw(self) -> None:
        frame = self._frame or Frame(progress=Progress())
        width, height = self._console.size
        lines = draw(
            Frame(progress=frame.progress, steps=frame.steps, note=self._note),
            now=datetime.now(UTC),
            width=max(1, width - 1),
            height=max(1, height - 1),
            glyphs=glyphs(self._console),
        )
        self._live.update(Group(*lines), refresh=True)


class EventView:
    """One event for each change: lines on stderr, or JSON on stdout."""

    def __init__(self, *, rollout_id: str, as_json: bool) -> None:
        self._rollout_id = rollout_id
        self._as_json = as_json
        self._console = stderr_console()
        self._last: Progress | None = None

    def show(self, progress: Progress) -> None:
        """Tell what has changed since the last look."""
        for event in events_between(self._last, progress, now=datetime.now(UTC)):
            self.tell(event)
        self._last = progress

    def wanted(self, progress: Progress) -> list[str]:
        """Return nobody: events tell ends, not lines of output."""
        del progress
        return []

    def show_steps(self, steps: "Mapping[str, RunningStep]") -> None:
        """Ignore steps."""
        del steps

    def note(self, text: str, *, passing: bool) -> None:
        """Tell a note as an event."""
        del passing
        self.tell(Event(datetime.now(UTC), "contact", text, {"message": text}))

    def tell(self, event: Event) -> None:
        """Write one event."""
        if self._as_json:
            print_json(event.as_json(self._rollout_id), indent=None)
        elif not event.quiet:
            print_line(self._console, event.line)

    def close(self) -> None:
        """Do nothing: what is written stays."""


def view_for(output: str, *, rollout_id: str) -> View:
    """Return the view for an output format: live on a terminal, events off it and for `jsonl`."""
    console = stderr_console()
    if output == "jsonl":
        return EventView(rollout_id=rollout_id, as_json=True)
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveView(console)
    return EventView(rollout_id=rollout_id, as_json=False)
