"""Time that counts: a paused rollout does not grow older."""

from datetime import datetime, timedelta


class ActiveClock:
    """Measures how long a rollout has been active: since its start, without the time that it was paused."""

    def __init__(self, started_at: datetime) -> None:
        self._started_at = started_at
        self._paused_at: datetime | None = None
        self._paused_for = timedelta(0)

    @property
    def paused(self) -> bool:
        """Whether the clock stands still."""
        return self._paused_at is not None

    def pause(self, now: datetime) -> None:
        """Stand still from now on; a second pause changes nothing."""
        self._paused_at = self._paused_at or now

    def resume(self, now: datetime) -> None:
        """Go on."""
        if self._paused_at is not None:
            self._paused_for += now - self._paused_at
            self._paused_at = None

    def elapsed(self, now: datetime) -> timedelta:
        """Return the active time from the start until now."""
        return (self._paused_at or now) - self._started_at - self._paused_for

    def moment_of(self, elapsed: timedelta, now: datetime) -> datetime:
        """Return when so much active time will have passed, should there be no further pause from now on."""
        return now + elapsed - self.elapsed(now)
