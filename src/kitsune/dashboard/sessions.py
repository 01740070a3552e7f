"""Sessions of people who have logged in: random ids, kept in memory, with two ends. A restart ends them all."""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

#: A session that is not used ends after so long, and every session after the second.
IDLE: Final = timedelta(minutes=30)
LONGEST: Final = timedelta(hours=12)
#: Sessions at once, and of one user; beyond that the one that was used least lately ends.
MOST: Final = 1_000
MOST_OF_ONE: Final = 20


@dataclass
class Session:
    """Somebody who has logged in.

    Attributes:
        name: The user.
        mark: What their password was when they logged in; another one ends the session.
    """

    name: str
    mark: str
    begun: datetime
    used: datetime


class Sessions:
    """All sessions of this process; only a hash of each id is kept.

    Args:
        now: The clock.
    """

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._by_hash: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_hash)

    def begin(self, name: str, *, mark: str) -> str:
        """Begin a session and return its secret id."""
        self._forget_ended()
        own = [key for key, session in self._by_hash.items() if session.name == name]
        for key in own[: max(0, len(own) - MOST_OF_ONE + 1)]:
            del self._by_hash[key]
        while len(self._by_hash) >= MOST:
            self._by_hash.popitem(last=False)
        token = secrets.token_urlsafe(32)
        now = self._now()
        self._by_hash[_hash(token)] = Session(name, mark, begun=now, used=now)
        return token

    def find(self, token: str, *, touch: bool = True) -> Session | None:
        """Return the session of an id, unless it has ended; `touch` keeps it from ending for idleness."""
        key = _hash(token)
        session = self._by_hash.get(key)
        if session is None:
            return None
        if self._has_ended(session):
            del self._by_hash[key]
            return None
        if touch:
            session.used = self._now()
            self._by_hash.move_to_end(key)
        return session

    def end(self, token: str) -> None:
        """End a session; one that is not there has ended already."""
        self._by_hash.pop(_hash(token), None)

    def _has_ended(self, session: Session) -> bool:
        now = self._now()
        return now - session.used >= IDLE or now - session.begun >= LONGEST

    def _forget_ended(self) -> None:
        for key in [key for key, session in self._by_hash.items() if self._has_ended(session)]:
            del self._by_hash[key]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
