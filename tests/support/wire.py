"""A wire between a worker and Temporal, which a test can cut and mend."""

import asyncio
import contextlib


class Wire:
    """A TCP relay on a free port; while it is cut, nothing passes and nobody is told."""

    def __init__(self, target):
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._whole = asyncio.Event()
        self._whole.set()
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_):
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self):
        self._whole.clear()

    def mend(self):
        self._whole.set()

    async def _relay(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            there, back = await asyncio.open_connection(self._host, self._port)
            with contextlib.closing(back), contextlib.closing(writer):
                await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)

    async def _pump(self, source, sink):
        while data := await source.read(65536):
            await self._whole.wait()
            sink.write(data)
            await sink.drain()
        sink.close()
