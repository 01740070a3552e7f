"""One rollout on the board: asked for when somebody looks, kept when nobody answers."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from kitsune.dashboard.snapshots import Contact, Snapshot, no_worker
from kitsune.errors import Conflict, KitsuneError, NotFound, ServerUnavailable
from kitsune.models.plan import Plan
from kitsune.models.progress import Progress
from kitsune.service.fleet import Fleet
from kitsune.service.following import later_rollbacks
from kitsune.service.listing import RolloutRow
from kitsune.service.outcomes import Outcome

_LOOK_WITHIN = 15.0
_SHORTEST = timedelta(seconds=1)
#: Servers for each second between two looks: large fleets are looked at less often.
_SERVERS_PER_SECOND = 1_000
#: What has ended hardly changes; Temporal forgets it one day.
_ENDED = timedelta(seconds=60)
_LOG = logging.getLogger(__name__)


class Entry:
    """What is known of one rollout; all who look share one question to Temporal.

    Attributes:
        watchers: How many streams follow it.
    """

    def __init__(
        self, fleet: Fleet, rollout_id: str, *, contact: Contact, now: Callable[[], datetime]
    ) -> None:
        self._fleet, self._id, self._contact, self._now = fleet, rollout_id, contact, now
        self._known: Snapshot | None = None
        self._gone: NotFound | None = None
        self._asked: datetime | None = None
        self._worker_answered: datetime | None = None
        self._asking = asyncio.Lock()
        self._changed = asyncio.Condition()
        # Versions of another process, or of an entry that was forgotten, must not look like ours.
        self._first_version = secrets.randbelow(2**40)
        self.watchers = 0

    def is_due(self) -> bool:
        """Whether somebody watches it and it is time for another look."""
        return self.watchers > 0 and not self._asking.locked() and self._is_stale()

    def expire(self) -> None:
        """Have the next look ask again."""
        self._asked = None

    async def wake(self) -> None:
        """Let everybody who waits look up."""
        async with self._changed:
            self._changed.notify_all()

    async def fresh(self) -> Snapshot:
        """Return what is known, asking first where that is older than it may be.

        Raises:
            NotFound: There is no such rollout.
            ServerUnavailable: Temporal is away, and nothing was known before.
        """
        async with self._asking:
            if self._is_stale():
                await self._look()
        if self._gone:
            raise self._gone
        if self._known is None:
            raise ServerUnavailable(f"nothing is known of {self._id!r} yet", silent=True)
        return self._known

    async def look_again(self) -> None:
        """Look for those who watch; what goes wrong is told in the snapshot."""
        try:
            await self.fresh()
        except KitsuneError:
            await self.wake()
        except Exception:  # noqa: BLE001 - the poller outlives every surprise
            _LOG.exception("looking at rollout %s failed", self._id)

    async def newer_than(self, version: int, *, until: asyncio.Event) -> Snapshot | None:
        """Wait for another version and return it, or None where the waiting is over.

        Raises:
            NotFound: Temporal has forgotten the rollout.
        """
        async with self._changed:
            await self._changed.wait_for(
                lambda: (
                    until.is_set()
                    or self._gone
                    or (self._known is not None and self._known.version != version)
                )
            )
        if self._gone:
            raise self._gone
        return None if until.is_set() else self._known

    def _is_stale(self) -> bool:
        if self._asked is None:
            return True
        pause = _SHORTEST
        if self._known and not self._known.row.open and self._known.trouble is None:
            pause = _ENDED
        elif self._known and self._known.progress:
            pause = max(pause, timedelta(seconds=self._known.progress.total / _SERVERS_PER_SECOND))
        return self._now() - self._asked >= pause

    async def _look(self) -> None:
        self._asked = self._now()
        try:
            async with asyncio.timeout(_LOOK_WITHIN):
                found = await self._find()
        except TimeoutError as error:
            silent = ServerUnavailable("no answer in time", silent=True)
            await self._keep(silent, error)
        except NotFound as error:
            self._gone = error
            await self.wake()
        except ServerUnavailable as error:
            await self._keep(error, error)
        else:
            self._contact.last, self._gone = self._now(), None
            await self._set(found)

    async def _find(self) -> Snapshot:
        row = await self._fleet.find(self._id)
        known, plan = self._known, await self._plan()
        if known and known.outcome and known.row.run_id == row.run_id:
            return await self._followed(replace(known, row=row, at=self._now(), trouble=None))
        if row.open:
            look = await self._fleet.look(self._id)
            if look.open:
                return self._open(row, look.progress, plan)
            row = await self._fleet.find(self._id)
        outcome = await self._fleet.outcome(self._id)
        return await self._followed(self._ended(row, outcome, await self._last_progress(), plan))

    async def _followed(self, found: Snapshot) -> Snapshot:
        """Return how a rollout that has ended stands after its rollbacks, as far as they can be told."""
        if found.plan is None or found.plan.rollback_of:
            return found
        try:
            rollbacks = await later_rollbacks(self._fleet, self._id, known=found.rollbacks)
        except (Conflict, NotFound):
            return found
        return replace(found, rollbacks=rollbacks)

    def _open(self, row: RolloutRow, progress: Progress | None, plan: Plan | None) -> Snapshot:
        trouble = None
        if progress:
            self._worker_answered = self._now()
        else:
            trouble = no_worker(self._worker_answered)
            progress = self._known.progress if self._known else None
        return Snapshot(row, self._now(), progress=progress, plan=plan, trouble=trouble)

    def _ended(
        self, row: RolloutRow, outcome: Outcome, progress: Progress | None, plan: Plan | None
    ) -> Snapshot:
        return Snapshot(row, self._now(), progress=progress, outcome=outcome, plan=plan)

    async def _last_progress(self) -> Progress | None:
        """Return the last that an ended rollout said, for what its result leaves out."""
        last = await self._fleet.last_progress(self._id)
        return last or (self._known.progress if self._known else None)

    async def _plan(self) -> Plan | None:
        if self._known:
            return self._known.plan
        try:
            return await self._fleet.plan_of(self._id)
        except NotFound:
            return None  # it was started with something else, and refuses it

    async def _keep(self, error: ServerUnavailable, cause: BaseException) -> None:
        """Keep what was known while Temporal is away.

        Raises:
            ServerUnavailable: Nothing was.
        """
        if self._known is None:
            raise ServerUnavailable(self._contact.lost(error), silent=error.silent) from cause
        await self._set(replace(self._known, trouble=self._contact.lost(error)))

    async def _set(self, found: Snapshot) -> None:
        known = self._known
        version = known.version if known else self._first_version
        same = known is not None and replace(found, at=known.at, version=version) == known
        async with self._changed:
            self._known = replace(found, version=version if same else version + 1)
            self._changed.notify_all()
