"""A line between two programs that can be cut and joined again."""

import asyncio
import threading


class Cut:
    """Passes connections on to an address, from a port of its own, in a thread of its own; `cut` drops them all."""

    def __init__(self, target):
        self._target = target.rsplit(":", 1)
        self._whole, self._writers = True, set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._pass, "127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self):
        """Drop every connection, and take no new one."""
        self._run(self._set(whole=False))

    def join(self):
        """Take connections again."""
        self._run(self._set(whole=True))

    def close(self):
        """End it."""
        self.cut()
        self._server.close()
        self._run(self._ended())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _set(self, *, whole):
        self._whole = whole
        for writer in self._writers:
            if not whole:
                writer.transport.abort()

    async def _ended(self):
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    async def _pass(self, reader, writer):
        if not self._whole:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        self._writers -= {writer, back}

    async def _pump(self, reader, writer):
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.transport.abort()
