"""Connections of browsers: HTTP as uvicorn speaks it, and a bound on how long the head of a request may take."""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

#: Seconds from a connection, or from the first byte of a further request, to the end of the request's headers.
HEAD_WITHIN: Final = 10.0
#: Seconds that a connection may stay without a request after an answer.
IDLE_WITHIN: Final = 15
#: Connections at once: streams of many browsers, and a load balancer's.
MOST: Final = 1_000
#: Bytes of a request's headers at most.
LONGEST_HEAD: Final = 32 * 1024


class BoundedProtocol(H11Protocol):
    """Closes a connection on which the head of a request does not come to its end; uvicorn would wait for ever."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to wait for a first request."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Read on; a further request's head has as long as the first one's."""
        if not self._is_at_work():
            self._expect_head()
        super().data_received(data)
        if self._is_at_work():
            self._forget_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._forget_timer()
        super().connection_lost(exc)

    def _is_at_work(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_WITHIN, self.transport.close)

    def _forget_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
