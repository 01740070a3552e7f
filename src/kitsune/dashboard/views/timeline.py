"""When each batch and each server worked, as bars on one scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kitsune.dashboard.views.batches import batch_title
from kitsune.dashboard.views.looks import BROKEN, Look, look_of, shown_state
from kitsune.dashboard.views.picture import Picture
from kitsune.dashboard.views.times import clock, lasted
from kitsune.models.progress import ServerProgress

#: Units of the scale's width.
WIDTH = 1000
#: Servers with a bar of their own; of more, those that say most.
_SERVERS = 200
_BATCHES = 100
#: Quarters: a style sheet can place those.
_TICKS = 4
#: Seconds below which ticks have tenths.
_SHORT = 20


@dataclass(frozen=True)
class Bar:
    """One bar, in thousandths of the scale.

    Attributes:
        server: Whose it is; empty for a batch.
        open: It still grows.
    """

    title: str
    server: str
    look: Look
    x: int
    width: int
    took: str
    open: bool


@dataclass(frozen=True)
class Timeline:
    """Bars, ticks (place and text), and how many servers are left out."""

    batches: tuple[Bar, ...]
    servers: tuple[Bar, ...]
    ticks: tuple[tuple[int, str], ...]
    more: int


def timeline_of(picture: Picture, *, now: datetime) -> Timeline | None:
    """Return a rollout's timeline, or None where nothing has begun; failed and slow servers come first."""
    begun = [server for server in picture.servers if server.started_at]
    if not begun or picture.started_at is None:
        return None
    start = min(picture.started_at, *(_begin(server, now) for server in begun))
    end = max(picture.ended_at or now, *(_end(server, now) for server in begun))
    span = max((end - start).total_seconds(), 0.001)

    def bar(title: str, servers: Sequence[ServerProgress], *, server: str, look: Look) -> Bar:
        first = min(_begin(one, now) for one in servers)
        last = max(_end(one, now) for one in servers)
        x = round((first - start).total_seconds() / span * WIDTH)
        width = max(3, round((last - first).total_seconds() / span * WIDTH))
        going = any(one.ended_at is None for one in servers)
        return Bar(title, server, look, min(x, WIDTH - 3), width, lasted(first, last), going)

    shown = _most_telling(begun, now)
    names = {id(server) for server in shown}
    batches = [
        (batch, [server for server in batch.servers if server.started_at])
        for batch in picture.batches
    ]
    return Timeline(
        batches=tuple(
            bar(batch_title(batch), servers, server="", look=_worst(servers))
            for batch, servers in batches[:_BATCHES]
            if servers and len(picture.batches) > 1
        ),
        servers=tuple(
            bar(one.server_id, [one], server=one.server_id, look=look_of(shown_state(one)))
            for one in begun
            if id(one) in names
        ),
        ticks=_ticks(span),
        more=len(begun) - len(shown),
    )


def _begin(server: ServerProgress, now: datetime) -> datetime:
    return server.started_at or now


def _end(server: ServerProgress, now: datetime) -> datetime:
    return max(server.ended_at or now, _begin(server, now))


def _worst(servers: Sequence[ServerProgress]) -> Look:
    states = [shown_state(server) for server in servers]
    broken = next((state for state in states if state in BROKEN), None)
    going = next((state for state in states if look_of(state).tone == "busy"), None)
    return look_of(broken or going or states[0])


def _most_telling(servers: list[ServerProgress], now: datetime) -> list[ServerProgress]:
    if len(servers) <= _SERVERS:
        return servers

    def weight(server: ServerProgress) -> tuple[bool, timedelta]:
        return shown_state(server) in BROKEN, _end(server, now) - _begin(server, now)

    return sorted(servers, key=weight, reverse=True)[:_SERVERS]


def _ticks(span: float) -> tuple[tuple[int, str], ...]:
    def text(seconds: float) -> str:
        # So close to each other, whole seconds would be the same ones.
        return clock(timedelta(seconds=seconds)) if span >= _SHORT else f"{seconds:.1f}s"

    return tuple((WIDTH * at // _TICKS, text(span * at / _TICKS)) for at in range(_TICKS))
