"""What waits for an operator, with the commands that decide; and what operators have ordered so far."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.text import Text

from kitsune.cli.console import Glyphs, safe
from kitsune.cli.tables import Column, table_lines
from kitsune.models.orders import OrderRecord
from kitsune.models.progress import Phase, Progress, ServerProgress

_HELD_SHOWN = 3
_LINES_OF_AN_ERROR = 2
#: Paths at which a held server can go on.
_DECISIONS = ("retry", "skip", "rollback")


def hour(time: datetime, now: datetime) -> str:
    """Return a time by the reader's own clock, with its date unless that is today."""
    here, today = time.astimezone(), now.astimezone()
    return here.strftime("%H:%M:%S" if here.date() == today.date() else "%Y-%m-%d %H:%M")


def steering_lines(progress: Progress, *, now: datetime, glyphs: Glyphs) -> Iterator[Text]:
    """Yield what holds a rollout up until a person acts; nothing where nothing does."""
    if progress.phase is Phase.DONE:
        return
    shown_id = safe(progress.rollout_id)
    if progress.paused:
        yield Text(f"{glyphs.warning} {_paused(progress.orders, now)}", style="bold yellow")
        yield _command(f"kitsune resume {shown_id}")
    if progress.gate:
        gate = progress.gate
        end = f", stops at {hour(gate.until, now)}" if gate.until else ""
        since = f" since {hour(gate.opened_at, now)}"
        head = f"{glyphs.warning} gate {safe(gate.id)} waits for approval{since}{end}"
        yield Text(head, style="bold yellow")
        yield _command(f"kitsune approve {shown_id} --gate {safe(gate.id)}")
    yield from _held(progress, shown_id, glyphs)
    pending = sum(1 for server in progress.servers if server.state == "rollbackPending")
    if pending and progress.rollback_until:
        until = hour(progress.rollback_until, now)
        servers = f"{pending} server{'' if pending == 1 else 's'}"
        yield Text(f"{glyphs.waiting} rollback waits for {servers} until {until}", style="yellow")


def orders_lines(
    orders: Sequence[OrderRecord], *, now: datetime, width: int | None = None
) -> list[Text]:
    """Return who ordered what, when and why, as a table of that width; nothing where nobody did."""
    if not orders:
        return []
    columns = [Column("WHEN"), Column("ORDER"), Column("BY"), Column("WHY")]
    return table_lines(
        columns,
        [
            [
                hour(order.at, now),
                f"{order.verb} {order.detail}".rstrip(),
                order.actor,
                order.reason,
            ]
            for order in orders
        ],
        width=width,
    )


def _paused(orders: Sequence[OrderRecord], now: datetime) -> str:
    last = next((order for order in reversed(orders) if order.verb == "pause"), None)
    if last is None:
        return "PAUSED"
    why = f": {safe(last.reason)}" if last.reason else ""
    drain = f" ({safe(last.detail)})" if last.detail else ""
    return f"PAUSED by {safe(last.actor)} since {hour(last.at, now)}{drain}{why}"


def _held(progress: Progress, shown_id: str, glyphs: Glyphs) -> Iterator[Text]:
    held = [server for server in progress.servers if server.state == "held"]
    for server in held[:_HELD_SHOWN]:
        yield from _held_server(server, glyphs)
        for verb in _DECISIONS:
            yield _command(f"kitsune {verb} {shown_id} --server {safe(server.server_id)}")
    if len(held) > _HELD_SHOWN:
        more = f"{glyphs.ellipsis} {len(held) - _HELD_SHOWN} more held servers"
        yield Text(more, style="bold yellow")


def _held_server(server: ServerProgress, glyphs: Glyphs) -> Iterator[Text]:
    step = f" at step {safe(server.failed_step)}" if server.failed_step else ""
    head = f"{glyphs.unknown} {safe(server.server_id)} is held{step}"
    yield Text(head, style="bold yellow")
    for line in safe(server.error or "", lines=True).splitlines()[:_LINES_OF_AN_ERROR]:
        yield Text(f"    {line}")


def _command(text: str) -> Text:
    return Text("  $ ", style="dim").append(text, style="not dim")
