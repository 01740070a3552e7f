"""Durations as operators write them: a number of seconds, or Go's form."""

import math
import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from kitsune.models.problems import show_value

_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
_PATTERN = r"^([0-9]+(\.[0-9]+)?|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)$"
_SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "\u00b5s": 1e-6,  # micro sign
    "\u03bcs": 1e-6,  # Greek mu
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_ADVICE = "write 30s, 5m, 1h30m or a number of seconds"

#: Longest duration that a plan may ask for: ten years.
LONGEST = timedelta(days=3650)
#: Seconds that stand for any number too large to count with.
_BEYOND = 1e300


def parse_duration(value: Any) -> timedelta:
    """Return the duration that a plan's value means.

    Args:
        value: A number of seconds, or Go's form: `500ms`, `30s`, `1h30m`
            (https://pkg.go.dev/time#ParseDuration, without a sign).

    Raises:
        ValueError: Not a duration, negative, or longer than ten years.
    """
    seconds = _seconds_of(value)
    if seconds is None or not math.isfinite(seconds):
        raise ValueError(f"not a duration: {show_value(value)} ({_ADVICE})")
    if seconds < 0:
        raise ValueError(f"a duration cannot be negative: {show_value(value)} ({_ADVICE})")
    if seconds > LONGEST.total_seconds():
        raise ValueError(f"longer than ten years: {show_value(value)}")
    return timedelta(seconds=seconds)


def _seconds_of(value: Any) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        return _parse_text(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return _BEYOND if value > 0 else -_BEYOND


def _parse_text(written: str) -> float | None:
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", written):
        return min(float(written), _BEYOND)
    total, end = 0.0, 0
    while match := _PART.match(written, end):
        total += float(match[1]) * _SECONDS[match[2]]
        end = match.end()
    return min(total, _BEYOND) if written and end == len(written) else None


def format_duration(duration: timedelta) -> str:
    """Return a duration for people: `1h30m`, `2m5s`, `0.5s`."""
    seconds = duration.total_seconds()
    if seconds < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    parts = [
        f"{hours}h" if hours else "",
        f"{minutes}m" if minutes else "",
        f"{left}s" if left else "",
    ]
    return "".join(parts)


def _seconds(duration: timedelta) -> float | int:
    seconds = duration.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


#: A duration field: takes what `parse_duration` takes, goes over the wire as seconds.
Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(_seconds, return_type=float | int),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": _PATTERN},
            ],
            "description": "A number of seconds, or a text such as 500ms, 30s, 5m, 1h30m.",
        }
    ),
]
