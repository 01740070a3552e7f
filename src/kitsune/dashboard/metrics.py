"""The dashboard's figures for Prometheus: what it last saw, who looks, and what was asked of it."""

from collections import Counter as Counts
from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kitsune import metrics
from kitsune.dashboard.board import Board
from kitsune.metrics import Metric
from kitsune.version import __version__

disable_created_metrics()  # type: ignore[no-untyped-call]  # its author wrote no types; a second series for every counter, which says when it was made
_OTHER = "other"
#: What nobody has to ask for by name; a stranger's word must not become a label.
_METHODS = frozenset({"GET", "HEAD", "POST"})


class Figures:
    """What one dashboard counts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        wanted = metrics.DASHBOARD_REQUESTS
        self._requests = Counter(
            wanted.base, wanted.text, list(wanted.labels), registry=self._registry
        )

    def count(self, scope: Scope, status: int) -> None:
        """Count an answer."""
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        self._requests.labels(method, _route_of(scope), str(status)).inc()

    def routes(self) -> list[Route]:
        """Return the route that serves the figures."""
        return [Route("/metrics", self._serve)]

    async def _serve(self, request: Request) -> Response:
        seen = CollectorRegistry()
        seen.register(_Seen(request.app.state.board, now=datetime.now(UTC)))
        text = generate_latest(seen) + generate_latest(self._registry)
        return Response(text, media_type=CONTENT_TYPE_LATEST)


class CountRequests:
    """Middleware: counts every answer, refusals too."""

    def __init__(self, app: ASGIApp, *, figures: Figures) -> None:
        self._app, self._figures = app, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count its answer when that begins."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._figures.count(scope, message["status"])
            await send(message)

        await self._app(scope, receive, send_counted)


class _Seen(Collector):
    """The board as it is now."""

    def __init__(self, board: Board, *, now: datetime) -> None:
        self._board, self._now = board, now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges."""
        build = _gauge(metrics.BUILD_INFO)
        build.add_metric([__version__], 1)
        yield build
        rollouts = _gauge(metrics.DASHBOARD_ROLLOUTS)
        for state, count in sorted(Counts(row.state for row in self._board.last_seen.rows).items()):
            rollouts.add_metric([state], count)
        yield rollouts
        last = self._board.last_contact
        age = _gauge(metrics.DASHBOARD_CONTACT_AGE)
        age.add_metric([], -1 if last is None else (self._now - last).total_seconds())
        yield age
        watchers = _gauge(metrics.DASHBOARD_WATCHERS)
        watchers.add_metric([], self._board.watchers)
        yield watchers


def _gauge(metric: Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.text, labels=list(metric.labels))


def _route_of(scope: Scope) -> str:
    """Return the pattern that a path belongs to: never the path itself, which holds ids and what strangers try."""
    app = scope.get("app")
    for route in app.routes if isinstance(app, Starlette) else ():
        if route.matches(scope)[0] is not Match.NONE:
            return str(getattr(route, "path", _OTHER)) or _OTHER
    return _OTHER
