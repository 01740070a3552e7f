"""The figures of a server's state folder: room, journal, what is kept, and whether anything can be recorded."""

import asyncio
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from kitsune import metrics
from kitsune.activities.agent import Agent
from kitsune.agent.retention import bytes_under
from kitsune.agent.threads import Stop, in_thread
from kitsune.errors import JournalUnavailable
from kitsune.measures import Measures

_EVERY = timedelta(minutes=1)

logger = logging.getLogger("kitsune.agent")


@dataclass(frozen=True)
class Disk:
    """A file system as a local worker sees it, in bytes, and what it keeps there by kind."""

    free: int
    size: int
    kept: Mapping[str, int]


async def keep_figures(agent: Agent, measures: Measures, *, every: timedelta = _EVERY) -> None:
    """Write the figures now and every minute, for as long as the local worker lives."""
    while True:
        try:
            await write_figures(agent, measures)
        except OSError as error:
            logger.warning("cannot measure %s: %s", agent.state, error)
        await asyncio.sleep(every.total_seconds())


async def write_figures(agent: Agent, measures: Measures) -> None:
    """Write the figures once.

    Raises:
        OSError: The folder cannot be looked at.
    """
    try:
        await agent.journal.check()
        rows = await agent.journal.count_rows()
    except JournalUnavailable:
        measures.set(metrics.STATE_WRITABLE, 0)
    else:
        measures.set(metrics.STATE_WRITABLE, 1)
        for state in metrics.JOURNAL_ROWS.labels["state"]:
            measures.set(metrics.JOURNAL_ROWS, rows.get(state, 0), state=state)
    disk = await in_thread(lambda stop: _disk(agent.state, stop))
    measures.set(metrics.DISK_FREE, disk.free)
    measures.set(metrics.DISK_SIZE, disk.size)
    for kind, size in disk.kept.items():
        measures.set(metrics.KEPT, size, kind=kind)


def _disk(state: Path, stop: Stop) -> Disk:
    room = os.statvfs(state)
    kept = {"output": state / "operations", "undo": state / "undo"}
    return Disk(
        free=room.f_bavail * room.f_frsize,
        size=room.f_blocks * room.f_frsize,
        kept={kind: bytes_under(folder, stop) for kind, folder in kept.items()},
    )
