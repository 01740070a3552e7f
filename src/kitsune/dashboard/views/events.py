"""What happened in a rollout, newest first: orders with who gave them, batches, servers that did not succeed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from kitsune.dashboard.views.batches import batch_title
from kitsune.dashboard.views.looks import BROKEN, look_of, rollout_sign, shown_state
from kitsune.dashboard.views.picture import BatchPicture, Picture
from kitsune.models.printable import safe

_SHOWN = 300


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes:
        actor: Who did it; empty where nobody did.
        reason: Why, in that person's words.
        server: The server that it is about; empty for the rollout.
    """

    at: datetime
    text: str
    glyph: str
    tone: str
    actor: str = ""
    reason: str = ""
    server: str = ""


def events_of(picture: Picture) -> list[Event]:
    """Return what is known to have happened, newest first."""
    found = [*_begin(picture), *_orders(picture), *_servers(picture)]
    found += [event for batch in picture.batches for event in _batch(batch, picture)]
    found += _end(picture)
    # What happened at one moment stands in the order in which it must have happened.
    return sorted(found, key=lambda event: event.at)[::-1][:_SHOWN]


def _begin(picture: Picture) -> Iterator[Event]:
    if picture.started_at:
        origin = f", {picture.row.origin}" if picture.row.origin else ""
        noun = "server" if picture.total == 1 else "servers"
        yield Event(picture.started_at, f"started on {picture.total:,} {noun}{origin}", "▸", "busy")


def _end(picture: Picture) -> Iterator[Event]:
    if picture.gate:
        yield Event(
            picture.gate.opened_at, f"gate {picture.gate.id} waits for approval", "?", "warn"
        )
    if picture.ended_at and not picture.row.open:
        sign = rollout_sign(picture.state)
        why = f": {safe(picture.reason)}" if picture.reason else ""
        yield Event(picture.ended_at, f"{sign.word}{why}", sign.glyph, sign.tone)


def _orders(picture: Picture) -> Iterator[Event]:
    for order in picture.orders:
        yield Event(
            order.at,
            f"{order.verb} {safe(order.detail)}".rstrip(),
            "✎",
            "busy",
            actor=safe(order.actor),
            reason=safe(order.reason),
        )


def _batch(batch: BatchPicture, picture: Picture) -> Iterator[Event]:
    if len(picture.batches) <= 1:
        return
    starts = [server.started_at for server in batch.servers if server.started_at]
    ends = [server.ended_at for server in batch.servers if server.ended_at]
    if starts:
        yield Event(min(starts), f"{batch_title(batch)} started", "▸", "busy")
    if ends and batch.state == "done":
        broken = sum(batch.counts.get(state, 0) for state in BROKEN)
        noun = "server" if len(batch.servers) == 1 else "servers"
        text = f"{batch_title(batch)} done, {len(batch.servers):,} {noun}"
        text += f", {broken:,} not well" if broken else ""
        yield Event(max(ends), text, "✓" if not broken else "✕", "ok" if not broken else "bad")


def _servers(picture: Picture) -> Iterator[Event]:
    for server in picture.servers_at_end or picture.servers:
        state = shown_state(server)
        moment = server.ended_at or server.started_at
        if state not in BROKEN or moment is None:
            continue
        look = look_of(state)
        error = safe(server.error or "", lines=True).splitlines()
        text = f"{look.word}: {error[0]}" if error else look.word
        yield Event(moment, text, look.glyph, look.tone, server=server.server_id)
