"""The fleet: every worker that Temporal has heard of."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kitsune.dashboard.pages.showing import now, page, show
from kitsune.dashboard.snapshots import hour
from kitsune.dashboard.views.workers import fleet_page
from kitsune.errors import ServerUnavailable
from kitsune.service.fleet import Fleet
from kitsune.service.listing import FleetRows

#: However many browsers look, Temporal is asked so often at most.
_FRESH = timedelta(seconds=5)


@dataclass
class _Known:
    """The workers as they were last seen."""

    rows: FleetRows | None = None
    asked: datetime | None = None
    at: datetime | None = None
    trouble: str | None = None
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self, fleet: Fleet) -> None:
        async with self.asking:
            if self.asked and now() - self.asked < _FRESH:
                return
            self.asked = now()
            try:
                self.rows = await fleet.servers(now=now())
            except ServerUnavailable as error:
                if self.rows is None:
                    raise
                seen = f"; showing what was known at {hour(self.at)}" if self.at else ""
                self.trouble = f"{error}{seen}"
            else:
                self.at, self.trouble = now(), None


def fleet_handler() -> Route:
    """Return the route of the fleet page, with what it remembers."""
    known = _Known()

    @page
    async def fleet(request: Request) -> Response:
        await known.look(request.app.state.fleet)
        rows = known.rows or FleetRows()
        return show(
            request,
            "fleet.html",
            trouble=known.trouble,
            page=fleet_page(rows, request.query_params, now=now()),
        )

    return Route("/fleet", fleet)


def routes() -> list[Route]:
    """Return the routes."""
    return [fleet_handler()]
