"""A report as Markdown, for tickets and merge requests."""

import re
from collections.abc import Iterator

from kitsune.report.record import Record, ServerRecord
from kitsune.report.timeline import Row, timeline
from kitsune.report.words import clean, facts, last_output, lasted, moment, word

_BAR = 40
_SIGNS = {"step": "█", "failed": "▒", "server": "█"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~!])")
_NAMES = 10


def as_markdown(record: Record) -> str:
    """Return the report."""
    return "\n".join(_lines(record)) + "\n"


def _lines(record: Record) -> Iterator[str]:
    yield f"# Rollout {_text(record.rollout_id)}"
    yield ""
    yield from _table(["", ""], [[name, _text(value)] for name, value in facts(record)])
    if record.warnings:
        yield ""
    for warning in record.warnings:
        yield f"- Warning: {_text(warning)}"
    if record.causes:
        yield from ("", "## Failures", "")
        for cause in record.causes:
            names = ", ".join(_text(name) for name in cause.servers[:_NAMES])
            more = f" and {len(cause.servers) - _NAMES} more" if len(cause.servers) > _NAMES else ""
            count = len(cause.servers)
            yield f"**{count} server{'' if count == 1 else 's'}**: {names}{more}"
            yield from _block(cause.text)
    yield from _outputs(record)
    if record.orders:
        yield from ("", "## Orders", "")
        yield from _table(
            ["when", "order", "by", "why"],
            [
                [
                    moment(order.at),
                    _text(f"{order.verb} {order.detail or ''}".strip()),
                    _text(order.actor),
                    _text(order.reason),
                ]
                for order in record.orders
            ],
        )
    yield from _servers(record)
    yield from ("", f"Made {moment(record.made_at)} by Kitsune {record.version}.")


def _outputs(record: Record) -> Iterator[str]:
    """Yield what the failing step of the first server of each cause has printed."""
    by_id = {server.server_id: server for server in record.servers}
    for cause in record.causes[:_NAMES]:
        server = by_id[cause.servers[0]]
        broken = [step for step in server.steps if not step.success]
        for stream, text in last_output(broken[-1]) if broken else ():
            yield from (
                "",
                f"Last of {stream} of {_text(broken[-1].name)} on {_text(server.server_id)}:",
            )
            yield from _block(text)


def _servers(record: Record) -> Iterator[str]:
    rows, omitted = timeline(record)
    yield from ("", "## Servers", "")
    drawn = {row.server.server_id: row for row in rows}
    listed = [
        server
        for server in record.servers
        if server.server_id in drawn or (server.state != "succeeded" and not server.started_at)
    ]
    yield from _table(
        ["server", "state", "batch", "started", "took", "timeline"],
        [_server(server, drawn.get(server.server_id)) for server in listed],
    )
    if drawn and record.span:
        start, end = record.span
        signs = f"{_SIGNS['step']} at work, {_SIGNS['failed']} a step or an undo that failed"
        yield from ("", f"The timeline goes from {moment(start)} to {moment(end)}: {signs}.")
    if omitted:
        yield from ("", f"{omitted} more servers are counted above, and not listed.")


def _server(server: ServerRecord, row: Row | None) -> list[str]:
    undone = f", {server.undone}" if server.undone else ""
    return [
        _text(server.server_id),
        f"{word(server.state)}{undone}",
        "" if server.batch is None else str(server.batch + 1),
        moment(server.started_at),
        lasted(server.started_at, server.ended_at),
        f"`{bar_of(row)}`" if row else "",
    ]


def bar_of(row: Row, *, width: int = _BAR) -> str:
    """Return a row of the timeline as text."""
    cells = [" "] * width
    for segment in row.segments:
        first = min(int(segment.start * width), width - 1)
        last = min(max(first + 1, round((segment.start + segment.length) * width)), width)
        cells[first:last] = [_SIGNS[segment.kind]] * (last - first)
    return f"[{''.join(cells)}]"


def _table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _block(text: str) -> Iterator[str]:
    """Yield text as a code block whose fence it cannot close."""
    shown = clean(text)
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    yield from ("", fence, shown, fence)


def _text(text: str) -> str:
    """Return text as Markdown that means nothing but itself, in one line."""
    return _SPECIAL.sub(r"\\\1", clean(text).replace("\n", " "))
