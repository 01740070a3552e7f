"""The list of rollouts."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kitsune.dashboard.pages.showing import now, page, show
from kitsune.dashboard.views.lists import rollouts_page


@page
async def rollouts(request: Request) -> Response:
    """Show the rollouts; `part=live` returns only what changes."""
    known = request.app.state.board.rollouts()
    live = request.query_params.get("part") == "live"
    return show(
        request,
        "rollouts_live.html" if live else "rollouts.html",
        trouble=known.trouble,
        page=rollouts_page(known.rows, request.query_params, now=now()),
        at=known.at,
        oob=live,
    )


def routes() -> list[Route]:
    """Return the routes."""
    return [Route("/", rollouts), Route("/rollouts", rollouts)]
