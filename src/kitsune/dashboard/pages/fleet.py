"""The fleet: every worker that Temporal has heard of."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kitsune.dashboard.pages.showing import now, page, show
from kitsune.dashboard.views.workers import fleet_page


@page
async def fleet(request: Request) -> Response:
    """Show the workers."""
    known = await request.app.state.roster.workers()
    return show(
        request,
        "fleet.html",
        trouble=known.trouble,
        page=fleet_page(known.rows, request.query_params, now=now()),
    )


def routes() -> list[Route]:
    """Return the routes."""
    return [Route("/fleet", fleet)]
