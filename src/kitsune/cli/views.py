"""Who is told while a rollout is followed: a person at a terminal, a log, a program, or nobody."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from rich.console import Console

from kitsune.cli.console import print_json, print_line, stderr_console
from kitsune.cli.events import Event, events_between
from kitsune.models.progress import Progress

if TYPE_CHECKING:
    from kitsune.cli.live import GiveOrder
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


def view_for(
    output: str,
    *,
    rollout_id: str,
    order: "GiveOrder | None" = None,
    detach: Callable[[], object] = lambda: None,
) -> View:
    """Return the view for an output format: live on a terminal that is ours, events off it and for `jsonl`.

    Args:
        output: `text`, `json` or `jsonl`.
        rollout_id: Which rollout.
        order: Gives the orders of keys.
        detach: Called when a key says so.
    """
    console = stderr_console()
    if output == "jsonl":
        return EventView(rollout_id=rollout_id, as_json=True)
    if console.is_terminal and not console.is_dumb_terminal and _is_ours(console):
        from kitsune.cli.live import LiveView

        return LiveView(console, rollout_id=rollout_id, order=order, detach=detach)
    return EventView(rollout_id=rollout_id, as_json=False)


def _is_ours(console: Console) -> bool:
    """Return whether this process is in the foreground of a console's terminal."""
    from kitsune.cli.keyboard import in_foreground

    return in_foreground(console.file.fileno())
