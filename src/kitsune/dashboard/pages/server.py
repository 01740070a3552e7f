"""One server in a rollout."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kitsune.dashboard.addresses import rollout_id_of
from kitsune.dashboard.pages.rollout import may
from kitsune.dashboard.pages.showing import now, page, rollout_url, show
from kitsune.dashboard.views.actions import held_of
from kitsune.dashboard.views.picture import server_of
from kitsune.dashboard.views.server import server_page
from kitsune.errors import KitsuneError, NotFound
from kitsune.service.fleet import Fleet
from kitsune.service.server_steps import ServerLook

#: Looks that are kept for all browsers, and how old one may be.
_KEPT, _FRESH = 64, timedelta(seconds=1)


@dataclass
class _Seen:
    """The last look at a server that succeeded, and why there is no newer one."""

    look: ServerLook | None = None
    trouble: str = ""
    asked: datetime | None = None
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class Looks:
    """What rollouts do on servers, asked once a second at most, however many browsers look."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], _Seen] = OrderedDict()

    async def look(self, fleet: Fleet, rollout_id: str, server_id: str) -> _Seen:
        """Return the last look, asking for a newer one where it is too old."""
        seen = self._seen.setdefault((rollout_id, server_id), _Seen())
        self._seen.move_to_end((rollout_id, server_id))
        while len(self._seen) > _KEPT:
            self._seen.popitem(last=False)
        async with seen.asking:
            if seen.asked is None or now() - seen.asked > _FRESH:
                try:
                    seen.look = await fleet.server_look(rollout_id, server_id)
                    seen.trouble = ""
                except KitsuneError as error:  # what was known is shown without it
                    seen.trouble = str(error)
                seen.asked = now()
        return seen


def server_route() -> Route:
    """Return the route of the page, with what it remembers."""
    looks = Looks()

    @page
    async def server(request: Request) -> Response:
        """Show what a rollout did on a server; `part=live` returns only what changes."""
        rollout_id, server_id = rollout_id_of(request), request.path_params["server_id"]
        snapshot = await request.app.state.board.rollout(rollout_id)
        picture = snapshot.picture
        known = server_of(picture, server_id)
        if known is None:
            raise NotFound(f"rollout {rollout_id!r} has no server {server_id!r}")
        seen = await looks.look(request.app.state.fleet, rollout_id, server_id)
        held = held_of(picture, may=may(request), only=server_id)
        live = request.query_params.get("part") == "live"
        return show(
            request,
            "server_live.html" if live else "server.html",
            trouble=snapshot.trouble,
            page=server_page(picture, known, plan=snapshot.plan, look=seen.look, now=now()),
            rollout_id=rollout_id,
            here=rollout_url(rollout_id),
            at=snapshot.at,
            remark="" if snapshot.trouble else seen.trouble,
            actions=held[0].actions if held else (),
            oob=live,
        )

    return Route("/rollouts/{rollout_id}/servers/{server_id}", server)


def routes() -> list[Route]:
    """Return the routes."""
    return [server_route()]
