"""The pages: handlers that read the board, and templates that show it."""

from starlette.routing import Route

from kitsune.dashboard.pages import fleet, logs, new, orders, rollout, rollouts, server


def routes() -> list[Route]:
    """Return the routes of all pages."""
    return [
        *rollouts.routes(),
        *new.routes(),
        *rollout.routes(),
        *server.routes(),
        *logs.routes(),
        *orders.routes(),
        *fleet.routes(),
    ]
