"""Ends a handler that takes longer than it may."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from kitsune.agent.journal import Entry
from kitsune.agent.proc import boot_id, seconds_since

#: What a resumed execution may take at least: it may have ended long ago, and only be reported.
_LAST_LOOK = timedelta(seconds=5)


class TimedOut(Exception):
    """An execution took longer than it may."""


async def within(handler: asyncio.Task[Mapping[str, Any]], timeout: timedelta) -> Mapping[str, Any]:
    """Return what a handler returns, and cancel it when its time is up.

    Raises:
        TimedOut: It took longer, and has been ended.
    """
    done, _ = await asyncio.wait({handler}, timeout=timeout.total_seconds())
    if done:
        return handler.result()
    handler.cancel()
    await asyncio.wait({handler})
    if not handler.cancelled() and handler.exception() is None:
        return handler.result()  # it finished while it was being told to stop
    raise TimedOut


def time_left(timeout: timedelta, entry: Entry, *, resumed: bool) -> timedelta:
    """Return how long an execution may still take; what ended in time may always be reported."""
    if not resumed or entry.pid_start is None or entry.boot_id != boot_id():
        return timeout
    return max(timeout - timedelta(seconds=seconds_since(entry.pid_start)), _LAST_LOOK)
