"""The servers of a rollout as a table: searched, filtered by state, in pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from kitsune.dashboard.views.header import Count, counts_of
from kitsune.dashboard.views.looks import Look, look_of, shown_state
from kitsune.dashboard.views.picture import Picture
from kitsune.dashboard.views.times import lasted
from kitsune.models.printable import safe
from kitsune.models.progress import ServerProgress

_PAGE = 100
_ERROR = 200


@dataclass(frozen=True)
class Row:
    """One server.

    Attributes:
        error: The first line of it.
        remark: What became of its rollback, where its look does not say it.
    """

    server_id: str
    look: Look
    batch: str
    took: str
    step: str
    error: str
    remark: str


@dataclass(frozen=True)
class ServerTable:
    """A page of servers.

    Attributes:
        chosen: The state by which they are filtered, or empty.
        matching: How many there are on all pages.
    """

    rows: tuple[Row, ...]
    counts: tuple[Count, ...]
    chosen: str
    search: str
    matching: int
    page: int
    pages: int


def table_of(picture: Picture, query: Mapping[str, str], *, now: datetime) -> ServerTable:
    """Return the servers that an address asks for: `state`, `q` (a part of the id) and `page` from 1."""
    chosen, search = query.get("state", ""), query.get("q", "").strip()
    found = [server for server in picture.servers if _is_meant(server, chosen, search)]
    pages = max(1, -(-len(found) // _PAGE))
    page = min(max(1, _number(query.get("page", ""))), pages)
    shown = found[(page - 1) * _PAGE : page * _PAGE]
    return ServerTable(
        rows=tuple(_row(server, now) for server in shown),
        counts=counts_of(picture.counts) if picture.known else (),
        chosen=chosen,
        search=search,
        matching=len(found),
        page=page,
        pages=pages,
    )


def names_of(
    picture: Picture, *, state: str = "", search: str = "", as_in_grid: bool = False
) -> list[str]:
    """Return the ids of the servers that are asked for: in the plan's order, or in that of the grid's cells."""
    servers = picture.servers
    if as_in_grid and picture.batches:
        servers = tuple(server for batch in picture.batches for server in batch.servers)
    return [server.server_id for server in servers if _is_meant(server, state, search.strip())]


def _is_meant(server: ServerProgress, state: str, search: str) -> bool:
    return state in ("", shown_state(server)) and search.lower() in server.server_id.lower()


def _row(server: ServerProgress, now: datetime) -> Row:
    error = safe(server.error or "", lines=True).splitlines()
    look = look_of(shown_state(server))
    return Row(
        server_id=server.server_id,
        look=look,
        batch="" if server.batch is None else str(server.batch + 1),
        took=lasted(server.started_at, server.ended_at or now) if server.started_at else "",
        step=server.failed_step or "",
        error=error[0][:_ERROR] if error else "",
        remark="rolled back" if server.rolled_back and look.word != "rolled back" else "",
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 1  # noqa: PLR2004 - more digits than servers
