"""One rollout: its head, its grid, its servers, its timeline, its plan, its events."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from kitsune.dashboard.addresses import rollout_id_of
from kitsune.dashboard.pages.showing import now, page, rollout_url, show
from kitsune.dashboard.plans import hidden_paths
from kitsune.dashboard.roles import role_for_verb
from kitsune.dashboard.views.actions import actions_of, held_of
from kitsune.dashboard.views.batches import path_of
from kitsune.dashboard.views.events import events_of
from kitsune.dashboard.views.failures import failures_of
from kitsune.dashboard.views.grid import grid_of, size_of
from kitsune.dashboard.views.header import head_of
from kitsune.dashboard.views.picture import Picture
from kitsune.dashboard.views.plans import plan_page, plan_text
from kitsune.dashboard.views.servers import names_of, table_of
from kitsune.dashboard.views.timeline import timeline_of
from kitsune.handlers.facts import step_facts
from kitsune.handlers.registry import HandlerRegistry
from kitsune.models.plan import Plan, plan_to_wire
from kitsune.rollout.preview import preview_plan

_TABS = (
    ("", "Overview"),
    ("servers", "Servers"),
    ("timeline", "Timeline"),
    ("plan", "Plan"),
    ("events", "Events"),
)


@page
async def rollout(request: Request) -> Response:
    """Show a rollout; `view` chooses what of it, `part=live` returns only what changes, `s` leads to a server."""
    rollout_id, query = rollout_id_of(request), request.query_params
    if "s" in query:
        return RedirectResponse(rollout_url(rollout_id, server_id=query["s"]), status_code=302)
    snapshot = await request.app.state.board.rollout(rollout_id)
    picture = snapshot.picture
    tab = query.get("view", "")
    tab = tab if tab in dict(_TABS) else ""
    live = query.get("part") == "live"
    return show(
        request,
        "rollout_live.html" if live else "rollout.html",
        trouble=snapshot.trouble,
        picture=picture,
        at=snapshot.at,
        seen=snapshot.version,
        here=rollout_url(rollout_id),
        head=head_of(picture, now=now()),
        actions=actions_of(picture, may=may(request)),
        held=held_of(picture, may=may(request)),
        paused=picture.pause,
        tab=tab,
        tabs=_TABS,
        with_grid=query.get("grid") == "1",
        oob=live,
        **_view(tab, picture, snapshot.plan, request),
    )


@page
async def server_list(request: Request) -> Response:
    """Return the ids of a rollout's servers, one a line: to copy."""
    snapshot = await request.app.state.board.rollout(rollout_id_of(request))
    query = request.query_params
    found = names_of(
        snapshot.picture,
        state=query.get("state", ""),
        search=query.get("q", ""),
        as_in_grid=query.get("order") == "grid",
    )
    return PlainTextResponse("".join(f"{name}\n" for name in found))


def may(request: Request) -> Callable[[str], str]:
    """Return what tells which role an order needs that this user lacks; empty where they may give it."""

    def lacking(verb: str) -> str:
        needed = role_for_verb(verb)
        return "" if request.user.may(needed) else needed.word

    return lacking


def _view(tab: str, picture: Picture, plan: Plan | None, request: Request) -> dict[str, Any]:
    """Return what the chosen view needs, and nothing else: a grid of 10,000 cells is not made for a plan."""
    match tab:
        case "servers":
            return {"table": table_of(picture, request.query_params, now=now())}
        case "timeline":
            return {"timeline": timeline_of(picture, now=now())}
        case "events":
            return {"events": events_of(picture)}
        case "plan":
            return _plan(plan, request.app.state.registry)
        case _:
            pass
    wanted = request.query_params.get("part") != "live" or "grid" in request.query_params
    return {
        "stops": path_of(picture, now=now()),
        "groups": grid_of(picture) if wanted else [],
        "grid_size": size_of(picture),
        "failures": failures_of(picture),
    }


def _plan(plan: Plan | None, registry: HandlerRegistry) -> dict[str, Any]:
    if plan is None:
        return {"plan": None}
    wire = plan_to_wire(plan)
    return {
        "plan": plan_page(preview_plan(plan, facts=step_facts(plan, registry))),
        "plan_text": plan_text(wire, secrets=tuple(hidden_paths(plan, registry))),
    }


def routes() -> list[Route]:
    """Return the routes."""
    return [
        Route("/rollouts/{rollout_id}", rollout),
        Route("/rollouts/{rollout_id}/servers.txt", server_list),
    ]
