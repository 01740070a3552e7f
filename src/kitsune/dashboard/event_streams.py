"""How a stream of events is sent: bounded in number, pace and length, with heartbeats, and only to who may read."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from kitsune.dashboard.security import refusal

#: Streams at once, of all browsers together.
MOST: Final = 200
#: Seconds between two sendings: at most two a second.
PAUSE: Final = 0.5
HEARTBEAT: Final = 15.0
#: Seconds after which a stream ends; its browser comes back by itself.
LONGEST: Final = 3600.0
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
ItemT = TypeVar("ItemT")


class Streams:
    """How many streams there are."""

    def __init__(self) -> None:
        self.open = 0


class _Stream(StreamingResponse):
    """A response that ends what it reads from, however it ends."""

    body_iterator: AsyncGenerator[str, None]

    def __init__(self, content: AsyncGenerator[str, None], streams: Streams) -> None:
        super().__init__(content, media_type="text/event-stream", headers=_HEADERS)
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Here as well: of those that come all at once, every one has passed the first look.
        if self._streams.open >= MOST:
            await self.body_iterator.aclose()
            await _too_many(scope)(scope, receive, send)
            return
        self._streams.open += 1
        try:
            async with aclosing(self.body_iterator):
                await super().__call__(scope, receive, send)
        finally:
            self._streams.open -= 1


def open_stream(
    request: Request,
    source: AsyncGenerator[ItemT, None],
    events: Callable[[AsyncIterator[ItemT | None]], AsyncGenerator[str, None]],
) -> Response:
    """Return a stream of events.

    Args:
        request: Of the browser.
        source: What is watched; ends when the board closes.
        events: Makes events of what is watched; it gets None where nothing has happened for a while.
    """
    streams: Streams = request.app.state.streams
    if streams.open >= MOST:
        return _too_many(request.scope)

    async def text() -> AsyncGenerator[str, None]:
        yield "retry: 3000\n\n"
        async with aclosing(_paced(request, source)) as items, aclosing(events(items)) as found:
            async for event in found:
                yield event

    return _Stream(text(), streams)


def _too_many(scope: Scope) -> Response:
    return refusal(scope, f"{MOST} streams are open: close some pages", status=503)


async def _paced(
    request: Request, source: AsyncGenerator[ItemT, None]
) -> AsyncGenerator[ItemT | None, None]:
    """Yield items as they come, None where none does; ends with the session of whoever reads, or after an hour."""
    loop, identity = asyncio.get_running_loop(), request.app.state.identity
    end = loop.time() + LONGEST
    waiting: asyncio.Future[ItemT] | None = None
    try:
        while loop.time() < end:
            waiting = waiting or asyncio.ensure_future(anext(source))
            await asyncio.wait({waiting}, timeout=HEARTBEAT)
            if identity.user_of(request, touch=False) is None:
                return
            if not waiting.done():
                yield None
                continue
            try:
                item = waiting.result()
            except StopAsyncIteration:
                return
            waiting = None
            yield item
            await asyncio.sleep(PAUSE)
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await source.aclose()
