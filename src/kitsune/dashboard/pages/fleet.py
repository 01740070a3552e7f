"""The fleet: every worker that Temporal has heard of."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kitsune.dashboard.pages.showing import now, page, show
from kitsune.dashboard.views.workers import fleet_page


@page
async def fleet(request: Request) -> Response:
    """Show the workers; `part=live` returns only what a search changes."""
    known = await request.app.state.roster.workers()
    live = request.query_params.get("part") == "live"
    return show(
        request,
        "fleet_live.html" if live else "fleet.html",
        oob=live,
        trouble=known.trouble,
        page=fleet_page(known.rows, request.query_params, now=now()),
    )


def routes() -> list[Route]:
    """Return the routes."""
    return [Route("/fleet", fleet)]
