"""The board: one poller for the whole process, however many browsers look.

Temporal's visibility allows ten requests a second, and a query costs an orchestration worker a replay.
So pages, the API and streams all read from here; what nobody looks at is not asked for.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from kitsune.dashboard.entries import Entry
from kitsune.dashboard.mending import Mending
from kitsune.dashboard.snapshots import Contact, RolloutList, Snapshot
from kitsune.errors import KitsuneError, ServerUnavailable
from kitsune.service.fleet import Fleet

#: Rollouts in the list, the newest.
LISTED: Final = 500
#: Rollouts of which a snapshot is kept; one of 10,000 servers takes some megabytes.
KEPT: Final = 64
#: Between two looks at the list while somebody looks, and while nobody does.
LOOKED_AT: Final = timedelta(seconds=2)
IDLE: Final = timedelta(seconds=15)
_INTEREST = timedelta(seconds=30)
_TICK = 0.25
_LIST_WITHIN = 10.0
_LOG = logging.getLogger(__name__)


class Board:
    """What is known of all rollouts: `async with Board(fleet) as board`.

    Args:
        fleet: The way to Temporal.
        now: The clock.
    """

    def __init__(
        self, fleet: Fleet, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._fleet, self._now = fleet, now
        self._contact = Contact(fleet.address)
        self._list, self._mending = RolloutList(), Mending(fleet)
        self._list_changed = asyncio.Condition()
        self._list_asked: datetime | None = None
        self._list_polled: datetime | None = None
        self._list_watchers = 0
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._closing = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Look once, so that the first page has something to show, and go on looking."""
        await self._poll_list()
        self._poller = asyncio.create_task(self._poll())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop looking, and end what watches."""
        await self.close()
        if self._poller:
            self._poller.cancel()
            await asyncio.gather(self._poller, return_exceptions=True)

    @property
    def closing(self) -> bool:
        """Whether watching is over."""
        return self._closing.is_set()

    @property
    def trouble(self) -> str | None:
        """Why Temporal could not be asked just now, or None."""
        return self._list.trouble

    @property
    def last_seen(self) -> RolloutList:
        """The newest rollouts as they were last seen; looking here asks for nothing."""
        return self._list

    @property
    def last_contact(self) -> datetime | None:
        """When Temporal last answered, or None where it never has."""
        return self._contact.last

    @property
    def watchers(self) -> int:
        """How many follow the list or a rollout."""
        return self._list_watchers + sum(entry.watchers for entry in self._entries.values())

    async def close(self) -> None:
        """End everything that watches, so that a server can end in time."""
        self._closing.set()
        for entry in self._entries.values():
            await entry.wake()
        async with self._list_changed:
            self._list_changed.notify_all()

    def rollouts(self) -> RolloutList:
        """Return the newest rollouts as they were last seen."""
        self._list_asked = self._now()
        return self._list

    async def rollout(self, rollout_id: str) -> Snapshot:
        """Return a rollout, not older than a second where Temporal answers.

        Raises:
            NotFound: There is no such rollout.
            ServerUnavailable: Temporal is away, and nothing was known before.
        """
        return await self._entry(rollout_id).fresh()

    def expire(self, rollout_id: str) -> None:
        """Have a rollout looked at again, because somebody has just given it an order."""
        self._list_polled = None
        if entry := self._entries.get(rollout_id):
            entry.expire()

    async def watch(self, rollout_id: str) -> AsyncGenerator[Snapshot, None]:
        """Yield a rollout now and at each change, the newest only; ends when the board closes.

        Raises:
            NotFound: There is no such rollout, or no more.
        """
        entry = self._entry(rollout_id)
        entry.watchers += 1
        try:
            seen = await entry.fresh()
            yield seen
            while not self.closing:
                newer = await entry.newer_than(seen.version, until=self._closing)
                if newer is not None:
                    seen = newer
                    yield seen
        finally:
            entry.watchers -= 1

    async def watch_rollouts(self) -> AsyncGenerator[RolloutList, None]:
        """Yield the list now and at each change, the newest only; ends when the board closes."""
        self._list_watchers += 1
        try:
            seen = self._list
            yield seen
            while not self.closing:
                async with self._list_changed:
                    await self._list_changed.wait_for(
                        lambda: self.closing or self._list.version != seen.version  # noqa: B023 - awaited at once
                    )
                if not self.closing:
                    seen = self._list
                    yield seen
        finally:
            self._list_watchers -= 1

    def _entry(self, rollout_id: str) -> Entry:
        entry = self._entries.get(rollout_id)
        if entry is None:
            entry = self._entries[rollout_id] = Entry(
                self._fleet, rollout_id, contact=self._contact, now=self._now
            )
        self._entries.move_to_end(rollout_id)
        self._forget_oldest()
        return entry

    def _forget_oldest(self) -> None:
        for rollout_id in [key for key, entry in self._entries.items() if not entry.watchers]:
            if len(self._entries) <= KEPT:
                return
            del self._entries[rollout_id]

    async def _poll(self) -> None:
        """Look at the list and at what is watched, for ever; a slow rollout does not hold up the others."""
        looks: set[asyncio.Task[None]] = set()
        try:
            while True:
                if self._is_list_due():
                    await self._poll_list()
                for entry in [each for each in self._entries.values() if each.is_due()]:
                    look = asyncio.create_task(entry.look_again())
                    looks.add(look)
                    look.add_done_callback(looks.discard)
                await asyncio.sleep(_TICK)
        finally:
            for look in looks:
                look.cancel()

    def _is_list_due(self) -> bool:
        if self._list_polled is None:
            return True
        now = self._now()
        asked = self._list_asked is not None and now - self._list_asked < _INTEREST
        return now - self._list_polled >= (LOOKED_AT if asked or self._list_watchers else IDLE)

    async def _poll_list(self) -> None:
        self._list_polled = self._now()
        try:
            async with asyncio.timeout(_LIST_WITHIN):
                listed = await self._fleet.rollouts(limit=LISTED)
                rows = await self._mending.mended(listed)
        except TimeoutError:
            silent = ServerUnavailable("no answer in time", silent=True)
            await self._set_list(trouble=self._contact.lost(silent))
        except ServerUnavailable as error:
            await self._set_list(trouble=self._contact.lost(error))
        except KitsuneError as error:
            await self._set_list(trouble=str(error))
        except Exception:  # noqa: BLE001 - the poller outlives every surprise, and says that there was one
            _LOG.exception("looking at the list of rollouts failed")
            await self._set_list(
                trouble="the list of rollouts cannot be read: see the dashboard's log"
            )
        else:
            self._contact.last = at = self._now()
            changed = rows != self._list.rows
            self._list = replace(self._list, rows=rows, at=at)
            await self._set_list(trouble=None, changed=changed)

    async def _set_list(self, *, trouble: str | None, changed: bool = False) -> None:
        if trouble != self._list.trouble:
            if trouble:
                _LOG.warning("%s", trouble)
            else:
                _LOG.info("Temporal at %s answers", self._fleet.address)
        if changed or trouble != self._list.trouble:
            async with self._list_changed:
                self._list = replace(self._list, trouble=trouble, version=self._list.version + 1)
                self._list_changed.notify_all()
