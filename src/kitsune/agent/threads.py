"""Runs blocking disk work in a thread, so that a cancellation never leaves it behind."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

ResultT = TypeVar("ResultT")


class WorkStopped(Exception):
    """Ends work in a thread after its caller was cancelled; the caller never sees it."""


class Stop:
    """Tells work in a thread whether anybody still waits for it."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def ask(self) -> None:
        """Ask the work to end at its next `check`."""
        self._asked.set()

    def check(self) -> None:
        """Go on, or end here: call it between chunks and before the point of no return.

        Raises:
            WorkStopped: The caller was cancelled.
        """
        if self._asked.is_set():
            raise WorkStopped


async def in_thread(work: Callable[[Stop], ResultT]) -> ResultT:
    """Run blocking work in a thread and return its result.

    A cancellation asks the work to stop, waits until it has cleaned up, and only then goes on: whoever comes
    next never meets it half-way. `asyncio.to_thread` would leave it running behind everybody's back.
    """
    stop = Stop()
    working = asyncio.get_running_loop().run_in_executor(None, work, stop)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        stop.ask()
        await _until_done(working)
        raise


async def _until_done(working: asyncio.Future[ResultT]) -> None:
    while not working.done():
        try:
            await asyncio.wait({working})
        except asyncio.CancelledError:
            continue  # a second cancellation changes nothing: the first one is under way
    if not working.cancelled():
        working.exception()  # seen, so that asyncio does not complain that nobody looked
