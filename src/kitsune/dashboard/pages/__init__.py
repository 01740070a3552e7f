"""The pages: handlers that read the board, and templates that show it."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kitsune.dashboard.rendering import render


async def home(request: Request) -> Response:
    """Show the rollouts."""
    return render(request, "home.html", rollouts=request.app.state.board.rollouts())


def routes() -> list[Route]:
    """Return the routes of all pages."""
    return [Route("/", home)]
