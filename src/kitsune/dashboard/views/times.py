"""Times and durations as pages write them."""

from datetime import UTC, datetime, timedelta

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def clock(duration: timedelta | None) -> str:
    """Return a duration as `4:07` or `1:04:07`; empty where there is none."""
    if duration is None:
        return ""
    seconds = max(0, int(duration.total_seconds()))
    hours, rest = divmod(seconds, _HOUR)
    minutes, left = divmod(rest, _MINUTE)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def lasted(started_at: datetime | None, ended_at: datetime | None) -> str:
    """Return how long something took: `0.4s`, `12s`, `3m 5s`, `2h 4m`; empty where it is not known."""
    if started_at is None or ended_at is None:
        return ""
    seconds = max(0.0, (ended_at - started_at).total_seconds())
    if seconds < 10:  # noqa: PLR2004 - below, tenths matter
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m {whole % _MINUTE}s"
    return f"{whole // _HOUR}h {whole % _HOUR // _MINUTE}m"


def ago(moment: datetime, now: datetime) -> str:
    """Return `12 s ago`, `4 min ago`, `3 h ago`, `2 d ago`."""
    seconds = max(0, int((now - moment).total_seconds()))
    if seconds < _MINUTE:
        return f"{seconds} s ago"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min ago"
    if seconds < _DAY:
        return f"{seconds // _HOUR} h ago"
    return f"{seconds // _DAY} d ago"


def stamp(moment: datetime) -> str:
    """Return a moment as RFC 3339 in UTC, to the second: for `<time datetime>`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def hour(moment: datetime, now: datetime) -> str:
    """Return a moment in UTC as people read it: the time alone where it was today."""
    here = moment.astimezone(UTC)
    today = here.date() == now.astimezone(UTC).date()
    return here.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M")
