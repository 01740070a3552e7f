"""Orders that people give with a form: they go the same way as those of the API."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kitsune.dashboard import actions
from kitsune.dashboard.addresses import rollout_id_of
from kitsune.dashboard.pages.showing import go, rollout_url
from kitsune.errors import KitsuneError

_FIELDS = 20
_LONGEST = 16 * 1024


async def order(request: Request) -> Response:
    """Give a rollout an order, and go back to where it can be seen."""
    rollout_id, verb = rollout_id_of(request), request.path_params["verb"]
    form = await request.form(max_files=0, max_fields=_FIELDS, max_part_size=_LONGEST)
    given = {key: value for key, value in form.items() if isinstance(value, str)}
    typed = given.pop("confirm", None)
    if typed is not None and typed.strip() != rollout_id:
        text = f"not done: to agree to {verb}, type {rollout_id}"
        return go(request, rollout_url(rollout_id), say=text, tone="bad")
    try:
        done = await actions.order(request, verb, rollout_id, given)
    except KitsuneError as error:
        return go(request, rollout_url(rollout_id), say=str(error), tone="bad")
    return go(request, rollout_url(done.rollout_id), say=done.text)


def routes() -> list[Route]:
    """Return the route; words that are no orders are refused where orders are obeyed."""
    return [Route("/rollouts/{rollout_id}/{verb}", order, methods=["POST"])]
