"""Who sends slowly, or nothing, does not hold a connection."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from kitsune.dashboard import connections
from kitsune.dashboard.serving import listen, serve
from kitsune.dashboard.settings import DashboardSettings

REQUEST = b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"


class _Board:
    async def close(self):
        pass


async def slow(_request):
    await asyncio.sleep(0.3)
    return PlainTextResponse("done")


@asynccontextmanager
async def connected():
    app = Starlette(routes=[Route("/slow", slow)])
    app.state = SimpleNamespace(board=_Board())
    settings, ready = DashboardSettings(port=0), asyncio.Event()
    listener = listen(settings)
    serving = asyncio.create_task(serve(app, settings, listener, ready=ready.set))
    async with asyncio.timeout(20):
        await ready.wait()
        reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        yield reader, writer
        writer.close()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(connections, "HEAD_WITHIN", 0.1)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: loc"])
async def test_a_head_that_does_not_come_to_its_end_is_not_waited_for(sent):
    async with connected() as (reader, writer):
        writer.write(sent)
        assert await reader.read() == b""


async def test_a_head_in_small_pieces_has_no_longer_than_another():
    async with connected() as (reader, writer):
        over = asyncio.ensure_future(reader.read())
        for byte in REQUEST[:-1]:
            if over.done():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.01)
        assert await over == b""


async def test_a_second_head_has_no_longer_than_the_first_one():
    async with connected() as (reader, writer):
        writer.write(REQUEST)
        assert b"200 OK" in await reader.readuntil(b"done")
        writer.write(b"GET /")
        assert await reader.read() == b""


async def test_an_answer_may_take_its_time_and_another_request_may_follow():
    async with connected() as (reader, writer):
        for _ in range(2):
            writer.write(REQUEST)
            assert b"200 OK" in await reader.readuntil(b"done")
