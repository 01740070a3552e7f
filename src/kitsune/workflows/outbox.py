"""Signals to child workflows, each child's in the order in which they were given."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio.exceptions import FailureError
from temporalio.workflow import ChildWorkflowHandle

from kitsune.workflows.bugs import watched


@dataclass
class Outbox:
    """Sends signals to one child, the next one when the last has arrived.

    Temporal delivers signals that are under way together in any order: a `resume` could overtake its `pause`.

    Attributes:
        break_with: Called with a bug of ours.
    """

    handle: ChildWorkflowHandle[Any, Any]
    break_with: Callable[[BaseException], None]
    _waiting: deque[tuple[str, tuple[Any, ...]]] = field(default_factory=deque)
    _sending: "asyncio.Task[None] | None" = None

    def put(self, name: str, *given: Any) -> None:
        """Send a signal as soon as those before it have arrived."""
        self._waiting.append((name, given))
        if self._sending is None:
            self._sending = watched(self._send_all(), self.break_with)

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                name, given = self._waiting.popleft()
                await self.handle.signal(name, args=given)
        except FailureError:  # it has ended, and needs to know nothing more
            self._waiting.clear()
        finally:
            self._sending = None
