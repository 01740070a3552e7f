"""Is it alive, is it of use: for load balancers, without a login, without a word about the fleet."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


async def healthz(_request: Request) -> Response:
    """Answer: the process serves."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """Answer whether Temporal could be asked lately; pages are served all the same where not."""
    if request.app.state.board.trouble:
        return PlainTextResponse("Temporal does not answer\n", 503)
    return PlainTextResponse("ok\n")


def routes() -> list[Route]:
    """Return the routes."""
    return [Route("/healthz", healthz), Route("/readyz", readyz)]
