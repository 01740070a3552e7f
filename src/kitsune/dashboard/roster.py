"""The workers of the fleet as they were last seen: one question to Temporal however many browsers look."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from kitsune.dashboard.snapshots import Contact
from kitsune.errors import ServerUnavailable
from kitsune.service.fleet import Fleet
from kitsune.service.listing import FleetRows

FRESH: Final = timedelta(seconds=5)
_WITHIN = 15.0


@dataclass(frozen=True)
class Workers:
    """All workers.

    Attributes:
        at: When Temporal last said so.
        trouble: Why this may be out of date, in one sentence, or None.
    """

    rows: FleetRows
    at: datetime
    trouble: str | None = None


class Roster:
    """Asks for the workers when somebody looks, and not again within five seconds.

    Args:
        fleet: The way to Temporal.
        now: The clock.
    """

    def __init__(
        self, fleet: Fleet, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._fleet, self._now = fleet, now
        self._contact = Contact(fleet.address)
        self._known: Workers | None = None
        self._asked: datetime | None = None
        self._asking = asyncio.Lock()

    async def workers(self) -> Workers:
        """Return the workers, or those that were known when Temporal last answered.

        Raises:
            ServerUnavailable: Temporal is away, and none were ever known.
        """
        async with self._asking:
            if self._known is None or self._asked is None or self._now() - self._asked >= FRESH:
                self._asked = self._now()
                await self._look()
        if self._known is None:
            raise ServerUnavailable("nothing is known of workers yet", silent=True)
        return self._known

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(_WITHIN):
                rows = await self._fleet.servers(now=self._now())
        except (TimeoutError, ServerUnavailable) as error:
            gone = (
                error
                if isinstance(error, ServerUnavailable)
                else ServerUnavailable("", silent=True)
            )
            trouble = self._contact.lost(gone)
            if self._known is None:
                raise ServerUnavailable(trouble, silent=gone.silent) from error
            self._known = replace(self._known, trouble=trouble)
        else:
            self._contact.last = self._now()
            self._known = Workers(rows, self._contact.last)
