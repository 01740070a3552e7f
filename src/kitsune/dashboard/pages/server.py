"""One server in a rollout."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kitsune.dashboard.pages.rollout import may, picture_as_seen
from kitsune.dashboard.pages.showing import now, page, rollout_url, show
from kitsune.dashboard.views.actions import held_of
from kitsune.dashboard.views.server import server_page
from kitsune.errors import KitsuneError, NotFound


@page
async def server(request: Request) -> Response:
    """Show what a rollout did on a server; `part=live` returns only what changes."""
    rollout_id, server_id = request.path_params["rollout_id"], request.path_params["server_id"]
    snapshot = await request.app.state.board.rollout(rollout_id)
    picture = picture_as_seen(snapshot)
    look, remark = None, ""
    try:
        look = await request.app.state.fleet.server_look(rollout_id, server_id)
    except KitsuneError as error:  # the rollout's own knowledge is shown without it
        remark = str(error)
    found = server_page(picture, server_id, plan=snapshot.plan, look=look, now=now())
    if found is None:
        raise NotFound(f"rollout {rollout_id!r} has no server {server_id!r}")
    held = held_of(picture, may=may(request), only=server_id)
    live = request.query_params.get("part") == "live"
    return show(
        request,
        "server_live.html" if live else "server.html",
        trouble=snapshot.trouble,
        page=found,
        rollout_id=rollout_id,
        here=rollout_url(rollout_id),
        at=snapshot.at,
        remark=remark if not snapshot.trouble else "",
        actions=held[0].actions if held else (),
        oob=live,
    )


def routes() -> list[Route]:
    """Return the routes."""
    return [Route("/rollouts/{rollout_id}/servers/{server_id}", server)]
