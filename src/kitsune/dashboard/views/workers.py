"""The fleet page: every worker, when it was last heard of, and what is odd about them together."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from kitsune.dashboard.views.looks import Sign, worker_sign
from kitsune.dashboard.views.times import ago
from kitsune.service.listing import FleetRows, WorkerRow

_SHOWN = 500


@dataclass(frozen=True)
class WorkerLine:
    """One worker."""

    name: str
    sign: Sign
    state: str
    heard_at: datetime
    heard: str
    version: str
    odd_version: bool
    host: str
    identity: str


@dataclass(frozen=True)
class FleetPage:
    """All workers.

    Attributes:
        counts: Local workers by state: state, sign, number.
        remarks: What is odd, one sentence each.
        more: Servers that match and are not shown.
    """

    servers: tuple[WorkerLine, ...]
    orchestrators: tuple[WorkerLine, ...]
    counts: tuple[tuple[str, Sign, int], ...]
    remarks: tuple[str, ...]
    chosen: str
    search: str
    matching: int
    more: int


def fleet_page(rows: FleetRows, query: Mapping[str, str], *, now: datetime) -> FleetPage:
    """Return the fleet as an address asks for it: `state` and `q` (a part of id or host)."""
    chosen, search = query.get("state", ""), query.get("q", "").strip()
    word = search.lower()
    usual = _usual([*rows.servers, *rows.orchestrators])
    found = [
        row
        for row in rows.servers
        if (not chosen or row.state == chosen)
        and (word in row.queue.lower() or word in row.host.lower())
    ]
    counts = Counter(row.state for row in rows.servers)
    return FleetPage(
        servers=tuple(_line(row, row.queue, now, usual) for row in found[:_SHOWN]),
        orchestrators=tuple(_line(row, row.identity, now, usual) for row in rows.orchestrators),
        counts=tuple((state, worker_sign(state), count) for state, count in sorted(counts.items())),
        remarks=tuple(_remarks(rows, usual)),
        chosen=chosen,
        search=search,
        matching=len(found),
        more=max(0, len(found) - _SHOWN),
    )


def _usual(rows: list[WorkerRow]) -> str:
    versions = Counter(row.version for row in rows if row.version)
    return versions.most_common(1)[0][0] if versions else ""


def _remarks(rows: FleetRows, usual: str) -> list[str]:
    found = []
    online = [row for row in rows.orchestrators if row.state == "online"]
    if not online:
        found.append(
            "No orchestration worker is online: rollouts wait. Start one with `kitsune orchestration-worker`."
        )
    silent = [row.queue for row in rows.servers if row.state == "silent"]
    if silent:
        found.append(f"{_some(silent)} reported nothing for 90 seconds.")
    odd = [row.queue for row in rows.servers if row.version and row.version != usual]
    if odd:
        found.append(
            f"{_some(odd)} run{'s' if len(odd) == 1 else ''} another version than {usual}."
        )
    return found


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3:,} more"  # noqa: PLR2004 - three show the kind


def _line(row: WorkerRow, name: str, now: datetime, usual: str) -> WorkerLine:
    return WorkerLine(
        name=name,
        sign=worker_sign(row.state),
        state=row.state,
        heard_at=row.heard_at,
        heard=ago(row.heard_at, now),
        version=row.version,
        odd_version=bool(row.version and row.version != usual),
        host=row.host,
        identity=row.identity,
    )
