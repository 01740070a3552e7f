"""Ctrl-C for commands that have processes to end: the first ends them in order, the second at once."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """What happens on signals while a command's coroutine runs.

    Attributes:
        first: Called for the first signal, which also cancels the coroutine.
        further: Called for every further one; ends at once whatever was started.
        received: Whether there was any.
    """

    def __init__(self) -> None:
        self.first: Callable[[], None] = lambda: None
        self.further: Callable[[], None] = lambda: None
        self.received = False

    def listen(self, task: "asyncio.Task[None]") -> None:
        """Take SIGINT, SIGTERM and SIGHUP for a task; an ignored SIGHUP (nohup) stays ignored."""
        for number in _SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, self._on_signal, task)

    def _on_signal(self, task: "asyncio.Task[None]") -> None:
        if self.received:
            self.further()
        else:
            self.received = True
            task.cancel()
            self.first()


def leave_at_once() -> None:
    """End the process as a second Ctrl-C does where nothing else has to be ended."""
    os._exit(130)


def run_interruptibly(main: Callable[[Interrupts], Coroutine[Any, Any, None]]) -> bool:
    """Run a command's coroutine to its end, and return whether a signal ended it.

    The coroutine is cancelled by the first signal, and has then to end what it started.
    It says in the `Interrupts` that it is given what happens on the others.
    """
    interrupts = Interrupts()

    async def run() -> None:
        task = asyncio.ensure_future(main(interrupts))
        interrupts.listen(task)
        try:
            await task
        except asyncio.CancelledError:
            if not interrupts.received:
                raise

    asyncio.run(run())
    return interrupts.received
