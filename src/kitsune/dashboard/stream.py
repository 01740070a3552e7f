"""Changes as they come, for browsers: server-sent events, small, at most two a second for each stream."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kitsune.dashboard.addresses import rollout_id_of
from kitsune.dashboard.api.answers import RolloutItem
from kitsune.dashboard.event_streams import open_stream
from kitsune.dashboard.snapshots import RolloutList, Snapshot
from kitsune.errors import NotFound
from kitsune.service.listing import RolloutRow

_STILL_HERE = ": still here\n\n"


def routes() -> list[Route]:
    """Return the routes."""
    return [
        Route("/stream/rollouts", stream_rollouts, methods=["GET"]),
        Route("/stream/rollouts/{rollout_id}", stream_rollout, methods=["GET"]),
    ]


async def stream_rollouts(request: Request) -> Response:
    """Stream changes of the list: `rollouts` with the changed rows, and `trouble`."""

    async def events(items: AsyncIterator[RolloutList | None]) -> AsyncGenerator[str, None]:
        before = RolloutList()
        async for known in items:
            if known is None:
                yield _STILL_HERE
                continue
            for event in list_events(before, known):
                yield event
            before = known

    return open_stream(request, request.app.state.board.watch_rollouts(), events)


async def stream_rollout(request: Request) -> Response:
    """Stream changes of one rollout: `summary`, `cells` with the changed ones, `trouble`, `end`.

    A browser that says which version it has (`?since=` or `Last-Event-ID`) gets nothing until there is another one;
    one that has an old one gets every cell.
    """
    board, rollout_id = request.app.state.board, rollout_id_of(request)
    await board.rollout(rollout_id)  # one that there is not is a plain 404
    since = request.headers.get("last-event-id") or request.query_params.get("since")

    async def events(items: AsyncIterator[Snapshot | None]) -> AsyncGenerator[str, None]:
        before: Snapshot | None = None
        try:
            async for known in items:
                if known is None:
                    yield _STILL_HERE
                    continue
                if before is not None or str(known.version) != since:
                    for event in rollout_events(before, known):
                        yield event
                before = known
        except NotFound as error:
            yield event_text("trouble", {"text": str(error)})

    return open_stream(request, board.watch(rollout_id), events)


def list_events(before: RolloutList, now: RolloutList) -> list[str]:
    """Return what has changed in the list."""
    old = {row.rollout_id: row for row in before.rows}
    changed = [row for row in now.rows if old.get(row.rollout_id) != row]
    events = []
    if changed:
        rows = [row_json(row) for row in changed]
        events.append(event_text("rollouts", {"rows": rows, "version": now.version}))
    if now.trouble != before.trouble:
        events.append(event_text("trouble", {"text": now.trouble}))
    return events


def rollout_events(before: Snapshot | None, now: Snapshot) -> list[str]:
    """Return what has changed in a rollout."""
    summary = event_text("summary", summary_of(now))
    events = [f"id: {now.version}\n{summary}"]
    old = before.cells if before else {}
    changed = {server: code for server, code in now.cells.items() if old.get(server) != code}
    if changed:
        events.append(event_text("cells", {"cells": changed}))
    if now.trouble != (before.trouble if before else None):
        events.append(event_text("trouble", {"text": now.trouble}))
    if now.outcome and not (before and before.outcome):
        events.append(event_text("end", {"state": now.picture.state}))
    return events


def summary_of(now: Snapshot) -> dict[str, Any]:
    """Return what the head of a page shows."""
    picture = now.picture
    return {
        "state": picture.state,
        "open": now.row.open,
        "paused": picture.paused,
        "gate": picture.gate.id if picture.gate else None,
        "batch": picture.current,
        "counts": dict(picture.counts),
        "total": picture.total,
        "failures": picture.failures,
        "at": now.at.isoformat(),
        "version": now.version,
    }


def row_json(row: RolloutRow) -> dict[str, Any]:
    """Return a row of the list as the API has it."""
    item = RolloutItem.model_validate(RolloutItem.fields_of(row))
    return item.model_dump(mode="json", by_alias=True)


def event_text(name: str, data: Mapping[str, Any]) -> str:
    """Return an event as it goes over the wire; JSON has no line breaks of its own."""
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
