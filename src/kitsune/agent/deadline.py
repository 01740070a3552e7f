"""Ends a handler that takes longer than it may."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any


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
