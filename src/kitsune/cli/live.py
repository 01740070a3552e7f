"""The live view: one screen on a terminal, drawn anew when something changes, and keys that steer."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleDimensions, Group
from rich.live import Live

from kitsune.cli.console import glyphs
from kitsune.cli.controls import Ui, Wish, keys_of, press
from kitsune.cli.keyboard import Keyboard, in_foreground
from kitsune.cli.screen import Frame, draw, shown_at_work
from kitsune.models.progress import Progress

if TYPE_CHECKING:
    from kitsune.service.running import RunningStep

#: Seconds between two drawings at least, whatever happens.
_SHORTEST = 0.25
#: Clocks move once a second even where nothing else does.
_TICK = 1.0
#: So long an answer to a key stays.
_MESSAGE = 8.0

#: Gives an order and returns what became of it, in a few words.
GiveOrder = Callable[[Wish, Progress], Awaitable[str]]


class LiveView:
    """Draws on the terminal's other screen, so that what stood before is there again afterwards.

    Needs a running event loop from the start to the end.
    """

    def __init__(
        self,
        console: Console,
        *,
        rollout_id: str = "",
        order: GiveOrder | None = None,
        detach: Callable[[], object] = lambda: None,
    ) -> None:
        """Take the screen.

        Args:
            console: The terminal.
            rollout_id: What is shown until more is known.
            order: Gives orders; None: keys change the view only.
            detach: Called when somebody wants to leave.
        """
        self._console, self._order, self._detach = console, order, detach
        self._rollout_id = rollout_id
        self._progress: Progress | None = None
        self._steps: Mapping[str, RunningStep] = {}
        self._note, self._ui = "", Ui()
        self._said_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._keyboard = Keyboard(self._on_typed)
        self._live: Live | None = None
        self._drawn_at = 0.0
        self._due: asyncio.TimerHandle | None = None
        self._giving: set[asyncio.Task[None]] = set()
        self._loop.add_signal_handler(signal.SIGTSTP, self._stop_process)
        self._loop.add_signal_handler(signal.SIGWINCH, self._draw_soon)
        # Ignored (nohup) or taken by the command that we are part of, it stays so.
        self._ends_by_hangup = signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
        if self._ends_by_hangup:
            self._loop.add_signal_handler(signal.SIGHUP, self._end_process)
        self._ticking = self._loop.call_later(_TICK, self._tick)
        self._take_screen()

    def show(self, progress: Progress) -> None:
        """Draw a new look."""
        self._note, self._progress = "", progress
        self._draw_soon()

    def wanted(self, progress: Progress) -> list[str]:
        """Return the servers that the next drawing has lines for."""
        return shown_at_work(progress)

    def show_steps(self, steps: "Mapping[str, RunningStep]") -> None:
        """Keep the steps for the next drawing."""
        self._steps = steps

    def note(self, text: str, *, passing: bool) -> None:
        """Show a note under the last look, for as long as no new one arrives."""
        self._note = "" if passing else text
        self._draw_soon()

    def close(self) -> None:
        """Give screen and keyboard back."""
        self._ticking.cancel()
        for number in (signal.SIGTSTP, signal.SIGWINCH):
            self._loop.remove_signal_handler(number)
        if self._ends_by_hangup:
            self._loop.remove_signal_handler(signal.SIGHUP)
        for task in self._giving:
            task.cancel()
        self._leave_screen()

    def _take_screen(self) -> None:
        if self._live is not None or not self._may_draw():
            return
        # Streams stay as they are: what others print goes to a file, or shows when the view has ended.
        self._live = Live(
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._live.start()
        self._keyboard.open()

    def _leave_screen(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        self._keyboard.close()
        if self._live is not None:
            live, self._live = self._live, None
            with suppress(OSError):  # the terminal has gone
                live.stop()

    def _may_draw(self) -> bool:
        with suppress(OSError, ValueError, AttributeError):
            return in_foreground(self._console.file.fileno())
        return False

    def _tick(self) -> None:
        self._ticking = self._loop.call_later(_TICK, self._tick)
        if self._ui.message and self._loop.time() - self._said_at > _MESSAGE and not self._giving:
            self._ui = replace(self._ui, message="")
        self._take_screen()  # somebody may have brought us back into the foreground
        self._draw_soon()

    def _stop_process(self) -> None:
        """Do what Ctrl-Z asks for: with the screen and keyboard given back, and taken again afterwards."""
        self._leave_screen()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take_screen()
        self._draw_soon()

    def _end_process(self) -> None:
        """End as SIGHUP wants it, but with screen and keyboard given back: the terminal may be there still."""
        self._leave_screen()
        self._loop.remove_signal_handler(signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)

    def _draw_soon(self) -> None:
        """Draw at once, or as soon as the last drawing is a quarter of a second old."""
        if self._due is None:
            wait = max(0.0, self._drawn_at + _SHORTEST - self._loop.time())
            self._due = self._loop.call_later(wait, self._draw)

    def _draw(self) -> None:
        self._due, self._drawn_at = None, self._loop.time()
        if self._live is None or not self._may_draw():
            return
        # Rich believes COLUMNS and LINES, which a shell may have exported before the window was resized.
        with suppress(OSError):
            width, height = os.get_terminal_size(self._console.file.fileno())
            self._console.size = ConsoleDimensions(width, height)
        width, height = self._console.size
        frame = Frame(
            progress=self._progress or Progress(rollout_id=self._rollout_id),
            steps=self._steps,
            note=self._note,
            ui=self._ui,
            keys=self._keyboard.is_there,
        )
        lines = draw(
            frame, now=datetime.now(UTC), width=width, height=height, glyphs=glyphs(self._console)
        )
        self._live.update(Group(*lines), refresh=True)

    def _on_typed(self, typed: str) -> None:
        for key in keys_of(typed):
            asked_before = self._ui.asking
            self._on_key(key)
            if self._ui.asking and not asked_before:
                break  # the answer has to be typed to the question
        self._draw_soon()

    def _on_key(self, key: str) -> None:
        self._ui, wish = press(key, self._ui, self._progress)
        self._said_at = self._loop.time()
        if wish is Wish.DETACH:
            self._leave()
        elif wish is not None and self._order is not None:
            self._ui = replace(self._ui, message=f"{wish.value} ...")
            known = self._progress or Progress(rollout_id=self._rollout_id)
            self._keep(self._give(self._order, wish, known))

    def _leave(self) -> None:
        """Detach, once the orders that are on their way have arrived."""

        async def arrived() -> None:
            others = self._giving - {asyncio.current_task()}
            await asyncio.gather(*others, return_exceptions=True)
            self._detach()

        if self._giving:
            self._ui = replace(self._ui, message="detaches as soon as the order has arrived ...")
            self._keep(arrived())
        else:
            self._detach()

    async def _give(self, order: GiveOrder, wish: Wish, progress: Progress) -> None:
        said = await order(wish, progress)
        self._ui, self._said_at = replace(self._ui, message=said), self._loop.time()
        self._draw_soon()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._giving.add(task)
        task.add_done_callback(self._giving.discard)
