"""How often somebody may try a password: a few times for each user and each address, then they wait."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

#: Wrong passwords within the time before a user name, or an address, has to wait.
PER_USER: Final = 5
PER_ADDRESS: Final = 20
WITHIN: Final = timedelta(minutes=5)
#: User names and addresses that are remembered; the oldest are forgotten first.
_REMEMBERED = 10_000


class Attempts:
    """Wrong passwords of the last minutes.

    Args:
        now: The clock.
    """

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._failed: OrderedDict[tuple[str, str], list[datetime]] = OrderedDict()

    def wait(self, *, user: str, address: str) -> timedelta:
        """Return how long somebody has to wait before the next try; zero where they need not."""
        waits = [
            self._wait(("user", user[:200]), PER_USER),
            self._wait(("address", address), PER_ADDRESS),
        ]
        return max(waits)

    def failed(self, *, user: str, address: str) -> None:
        """Note a wrong password."""
        for key in (("user", user[:200]), ("address", address)):
            times = self._recent(key)
            self._failed[key] = [*times, self._now()][-PER_ADDRESS:]
            self._failed.move_to_end(key)
        while len(self._failed) > _REMEMBERED:
            self._failed.popitem(last=False)

    def succeeded(self, *, user: str, address: str) -> None:
        """Forget the wrong passwords of a user who has found the right one, and this try of the address."""
        self._failed.pop(("user", user[:200]), None)
        if times := self._failed.get(("address", address)):
            times.pop()

    def _wait(self, key: tuple[str, str], allowed: int) -> timedelta:
        times = self._recent(key)
        if len(times) < allowed:
            return timedelta()
        return WITHIN - (self._now() - times[-allowed])

    def _recent(self, key: tuple[str, str]) -> list[datetime]:
        begin = self._now() - WITHIN
        return [time for time in self._failed.get(key, []) if time > begin]
