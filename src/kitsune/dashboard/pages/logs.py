"""What a step has printed on a server, in pages from the server's own disk."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from kitsune.dashboard.addresses import rollout_id_of
from kitsune.dashboard.pages.showing import page, rollout_url, show
from kitsune.dashboard.views.ansi import Span, lines_of
from kitsune.dashboard.views.commands import command
from kitsune.errors import BadRequest
from kitsune.models.bytes import format_bytes
from kitsune.models.logs import LogPage, LogSource, Stream
from kitsune.service.fleet import Fleet

_STREAMS = ("stdout", "stderr")
_PAGE = 128 * 1024
#: Bytes of one download.
_LONGEST = 1024 * 1024 * 1024
_HIGHEST = 2**53
_SOURCES = {
    LogSource.SERVER: "from the server's disk",
    LogSource.RESULT: "as the rollout's result has kept it",
    LogSource.HEARTBEAT: "the last that the running step was heard to say",
    LogSource.NOWHERE: "nothing is known",
}


@dataclass(frozen=True)
class _Asked:
    rollout_id: str
    server_id: str
    step: int
    stream: Stream
    offset: int

    def url(self, name: str = "log", **changes: int | str) -> str:
        """Return the address of this page, or of one beside it."""
        query = {"step": self.step + 1, "stream": self.stream, **changes}
        server = rollout_url(self.rollout_id, server_id=self.server_id)
        return f"{server}/{name}?{urlencode(query)}"


@page
async def log(request: Request) -> Response:
    """Show a page of a log; `q` leaves only the lines that hold a text."""
    asked = _asked(request)
    found = await _read(request.app.state.fleet, asked, offset=asked.offset)
    search = request.query_params.get("q", "").strip()
    live = request.query_params.get("part") == "live"
    return show(
        request,
        "log_live.html" if live else "log.html",
        going=not found.ended,
        oob=live,
        rollout_id=asked.rollout_id,
        server_id=asked.server_id,
        here=rollout_url(asked.rollout_id),
        action=asked.url().partition("?")[0],
        number=asked.step + 1,
        step=found.step or f"{asked.step + 1}",
        stream=asked.stream,
        offset=asked.offset,
        search=search,
        remark=_remark(found),
        lines=_lines(found, search),
        pages=_pages(asked, found),
        download=asked.url("log.txt"),
        command=command("logs", asked.rollout_id, asked.server_id, "--step", found.step),
    )


@page
async def download(request: Request) -> Response:
    """Send a log as a file, byte for byte; a server that goes away on the way ends it."""
    asked = _asked(request)
    fleet: Fleet = request.app.state.fleet
    first = await _read(fleet, asked, offset=0)
    name = quote(
        f"{asked.rollout_id}-{asked.server_id}-{asked.step + 1}-{asked.stream}.log", safe=""
    )

    async def content() -> AsyncIterator[bytes]:
        found, sent = first, 0
        while True:
            yield found.content
            sent += len(found.content)
            if not found.more or not found.content or sent > _LONGEST:
                return
            found = await _read(fleet, asked, offset=found.next_offset)

    return StreamingResponse(
        content(),
        # Never a type that a browser would run or draw: a server's output is data.
        media_type="application/octet-stream",
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"},
    )


async def _read(fleet: Fleet, asked: _Asked, *, offset: int) -> LogPage:
    return await fleet.read_log(
        asked.rollout_id,
        asked.server_id,
        step=asked.step,
        stream=asked.stream,
        offset=offset,
        limit=_PAGE,
    )


def _asked(request: Request) -> _Asked:
    query = request.query_params
    step, stream, offset = query.get("step", ""), query.get("stream", ""), query.get("offset", "0")
    if not step.isdecimal() or not 0 < int(step[:7]) < 10**6 or stream not in _STREAMS:
        raise BadRequest("which log? an address has step=1 (from 1) and stream=stdout or stderr")
    digits = offset.removeprefix("-")
    if not digits.isdecimal() or int(digits[:20]) > _HIGHEST:
        raise BadRequest(
            f"not an offset: {offset[:40]!r} (a number of bytes, below 0 from the end)"
        )
    return _Asked(
        rollout_id_of(request),
        request.path_params["server_id"],
        int(step) - 1,
        cast("Stream", stream),
        int(offset),
    )


def _lines(found: LogPage, search: str) -> list[tuple[Span, ...]]:
    lines = lines_of(found.content.decode(errors="replace"))
    if not search:
        return lines
    word = search.lower()
    return [line for line in lines if word in "".join(span.text for span in line).lower()]


def _pages(asked: _Asked, found: LogPage) -> list[tuple[str, str]]:
    pages = []
    if found.source is not LogSource.SERVER:
        return []
    if found.offset > 0:
        pages.append(("First", asked.url(offset=0)))
        pages.append(("Earlier", asked.url(offset=max(0, found.offset - _PAGE))))
    if found.more:
        pages.append(("Later", asked.url(offset=found.next_offset)))
        pages.append(("Last", asked.url(offset=-_PAGE)))
    return pages


def _remark(found: LogPage) -> str:
    part = ""
    if found.source is LogSource.SERVER and len(found.content) < found.size:
        part = f"bytes {found.offset:,} to {found.next_offset:,} of "
    goes_on = "" if found.ended else ", and the step goes on"
    tries = f", execution {found.attempt} of {found.executions}" if found.executions > 1 else ""
    note = f". {found.note}" if found.note else ""
    return f"{part}{format_bytes(found.size)}{tries}, {_SOURCES[found.source]}{goes_on}{note}"


def routes() -> list[Route]:
    """Return the routes."""
    return [
        Route("/rollouts/{rollout_id}/servers/{server_id}/log", log),
        Route("/rollouts/{rollout_id}/servers/{server_id}/log.txt", download),
    ]
