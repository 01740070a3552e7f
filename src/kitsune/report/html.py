"""A report as one HTML file: nothing from outside, no script, so that it can be mailed and kept."""

from collections.abc import Iterator
from html import escape

from kitsune.report.record import Record, ServerRecord
from kitsune.report.timeline import Row, timeline
from kitsune.report.words import BAD, clean, facts, last_output, lasted, moment, word

_WIDTH = 1000
#: Kind of a segment -> its top and its height: what failed fills the lane, so that colour never stands alone.
_HEIGHTS = {"step": (4, 6), "server": (4, 6), "failed": (0, 14)}
_LEGEND = (("step", "at work"), ("failed", "a step or an undo that failed"))
_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --line: #d5d5d5; --dim: #5c5c5c;
  --good: #1f7a3d; --bad: #b3261e; --other: #8a5a00; --bar: #2f6fab; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --paper: #161616; --line: #3a3a3a; --dim: #a8a8a8;
  --good: #6fcf8b; --bad: #ff8a80; --other: #f0b95a; --bar: #7db6ea; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); }
.facts { width: auto; } .facts th { color: var(--dim); font-weight: normal; }
pre { overflow-x: auto; border: 1px solid var(--line); padding: .5rem; font-size: 13px; white-space: pre-wrap; overflow-wrap: anywhere; }
.good { color: var(--good); } .bad { color: var(--bad); font-weight: bold; } .other { color: var(--other); }
.time { width: 45%; } svg { width: 100%; height: 14px; display: block; margin-top: 4px; } svg .ground { fill: var(--line); opacity: .4; }
svg .step, svg .server { fill: var(--bar); } svg .failed { fill: var(--bad); } svg rect { stroke: var(--paper); stroke-width: 1px; }
.legend { color: var(--dim); } .legend svg { display: inline-block; width: 2.5rem; margin: 0 .25rem 0 1rem; vertical-align: -2px; } .legend svg:first-of-type { margin-left: .25rem; }
footer { color: var(--dim); margin-top: 2rem; } summary { cursor: pointer; }
@media (max-width: 40rem) { th, td { padding-right: .375rem; } tbody th, .facts td { overflow-wrap: anywhere; } .time { width: 20%; } }
@media print { body { margin: 0; max-width: none; } }
"""


def as_html(record: Record) -> str:
    """Return the report."""
    return "\n".join(_page(record)) + "\n"


def _page(record: Record) -> Iterator[str]:
    title = f"Rollout {record.rollout_id}: {record.headline}"
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>"
    yield f"<h1>{_text(record.name or record.rollout_id)}: {_text(record.headline)}</h1>"
    yield '<table class="facts">'
    for name, value in facts(record):
        yield f'<tr><th scope="row">{_text(name)}</th><td>{_text(value)}</td></tr>'
    yield "</table>"
    for warning in record.warnings:
        yield f'<p class="other">Warning: {_text(warning)}</p>'
    yield from _failures(record)
    yield from _servers(record)
    yield from _orders(record)
    yield from _steps(record)
    yield f"<footer>Made {moment(record.made_at)} by Kitsune {_text(record.version)}.</footer>"
    yield "</body></html>"


def _failures(record: Record) -> Iterator[str]:
    if not record.causes:
        return
    by_id = {server.server_id: server for server in record.servers}
    yield "<h2>Failures</h2>"
    for cause in record.causes:
        count = len(cause.servers)
        names = ", ".join(_text(name) for name in cause.servers)
        yield f'<p class="bad">{count} server{"" if count == 1 else "s"}: {names}</p>'
        yield f"<pre>{_text(cause.text)}</pre>"
        broken = [step for step in by_id[cause.servers[0]].steps if not step.success]
        for stream, text in last_output(broken[-1]) if broken else ():
            where = f"Last of {stream} on {cause.servers[0]}, step {broken[-1].name}"
            yield f"<details><summary>{_text(where)}</summary><pre>{_text(text)}</pre></details>"


def _servers(record: Record) -> Iterator[str]:
    rows, omitted = timeline(record)
    drawn = {row.server.server_id: row for row in rows}
    yield "<h2>Servers</h2>"
    if record.span:
        start, end = record.span
        yield f"<p>The timeline goes from {moment(start)} to {moment(end)}.</p>"
    if rows:
        signs = (f"{_lane(_part(kind, 0, _WIDTH))} {text}" for kind, text in _LEGEND)
        yield f'<p class="legend">{" ".join(signs)}</p>'
    yield "<table><thead><tr>"
    for head in ("Server", "State", "Batch", "Took"):
        yield f'<th scope="col">{head}</th>'
    yield '<th scope="col" class="time">Timeline</th></tr></thead><tbody>'
    for server in record.servers:
        row = drawn.get(server.server_id)
        if row or (server.state != "succeeded" and not server.started_at):
            yield _server(server, row)
    yield "</tbody></table>"
    if omitted:
        yield f"<p>{omitted} more servers are counted above, and not listed.</p>"


def _server(server: ServerRecord, row: Row | None) -> str:
    look = "good" if server.state == "succeeded" else "bad" if server.state in BAD else "other"
    undone = f", {server.undone}" if server.undone else ""
    batch = "" if server.batch is None else str(server.batch + 1)
    return (
        f'<tr><th scope="row">{_text(server.server_id)}</th>'
        f'<td class="{look}">{_text(word(server.state) + undone)}</td><td>{batch}</td>'
        f"<td>{lasted(server.started_at, server.ended_at)}</td><td>{_bar(row) if row else ''}</td></tr>"
    )


def _bar(row: Row) -> str:
    what = "; ".join(segment.title for segment in row.segments)
    parts = []
    for segment in row.segments:
        x, width = segment.start * _WIDTH, max(segment.length * _WIDTH, 2)
        parts.append(_part(segment.kind, min(x, _WIDTH - 2), width, title=segment.title))
    return _lane("".join(parts), label=what)


def _lane(parts: str, *, label: str = "") -> str:
    seen = f'role="img" aria-label="{_text(label)}"' if label else 'aria-hidden="true"'
    ground = f'<rect class="ground" width="{_WIDTH}" height="14"/>'
    return f'<svg viewBox="0 0 {_WIDTH} 14" preserveAspectRatio="none" {seen}>{ground}{parts}</svg>'


def _part(kind: str, x: float, width: float, *, title: str = "") -> str:
    top, height = _HEIGHTS[kind]
    told = f"<title>{_text(title)}</title>" if title else ""
    place = f'x="{x:.1f}" y="{top}" width="{width:.1f}" height="{height}"'
    return f'<rect class="{kind}" {place}>{told}</rect>'


def _orders(record: Record) -> Iterator[str]:
    if not record.orders:
        return
    yield "<h2>Orders</h2><table><thead><tr>"
    for head in ("When", "Order", "By", "Why"):
        yield f'<th scope="col">{head}</th>'
    yield "</tr></thead><tbody>"
    for order in record.orders:
        cells = (moment(order.at), f"{order.verb} {order.detail or ''}", order.actor, order.reason)
        yield "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in cells) + "</tr>"
    yield "</tbody></table>"


def _steps(record: Record) -> Iterator[str]:
    if record.plan is None:
        return
    yield "<h2>Plan</h2><ol>"
    for step in record.plan.steps:
        yield f"<li>{_text(step.name)} ({_text(step.type)})</li>"
    yield "</ol>"


def _text(text: str) -> str:
    """Return text as HTML that shows it as it is, and obeys nothing in it."""
    return escape(clean(text))
