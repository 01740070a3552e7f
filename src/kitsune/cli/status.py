"""`kitsune status` and `kitsune list`: one rollout, all rollouts; looking changes nothing."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from kitsune.cli.completing import rollouts
from kitsune.cli.connection_options import (
    FleetSession,
    connection_options,
    fleet_session,
    output_option,
)
from kitsune.cli.console import (
    glyphs,
    print_json,
    print_line,
    print_words,
    stderr_console,
    stdout_console,
    terminal_width,
)
from kitsune.cli.endings import outcome_json
from kitsune.cli.events import progress_at_end, stamp
from kitsune.cli.exits import Exit
from kitsune.cli.recap import lasted, recap
from kitsune.cli.screen import summary
from kitsune.cli.states import glyph_of, in_order, look_of
from kitsune.cli.steering import orders_lines
from kitsune.cli.tables import Cell, Column, ago, print_table
from kitsune.cli.watch import say
from kitsune.models.orders import OrderRecord
from kitsune.models.progress import Progress, ServerProgress
from kitsune.models.results import ServerStatus, json_of

if TYPE_CHECKING:
    from kitsune.service.listing import RolloutRow
    from kitsune.service.outcomes import Outcome

#: Fleets up to this size are listed whole; of larger ones those servers that are worth a look.
_SERVERS_LISTED = 50
_DULL = frozenset({"succeeded", "pending", "notStarted"})
_NO_WORKER = (
    "no orchestration worker answers, so this is only what Temporal itself knows: "
    "start one with `kitsune orchestration-worker`"
)


@click.command()
@click.argument("rollout_id", metavar="ID", shell_complete=rollouts)
@output_option("text", "json")
@connection_options
def status(rollout_id: str, output: str, connection: Any) -> Exit:
    """Show one rollout: how far it is, or how it ended.

    \b
    kitsune status web-2-14-0-k3v7qa
    kitsune status web-2-14-0-k3v7qa -o json | jq '.results[] | select(.success | not)'

    With `-o json`, the progress of all its servers while it runs, and its result, with every step, once it has ended.
    The exit code says whether the rollout could be read, not how it goes; `kitsune watch` says that.
    """  # noqa: D301 - click's sign for "do not wrap"
    with fleet_session(connection) as session:
        row = session.run(session.fleet.find(rollout_id))
        if row.open:
            look = session.run(session.fleet.look(rollout_id))
            if look.open:
                _show_open(row, look.progress, output=output)
                return Exit.OK
        outcome = session.run(session.fleet.outcome(rollout_id))
        if output == "json":
            print_json(outcome_json(outcome, rollout_id=rollout_id))
        else:
            _show_ended(session, outcome, row)
    return Exit.OK


@click.command("list")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="Rollouts at most.",
)
@click.option(
    "--query",
    metavar="FILTER",
    help="A further condition, as a Temporal list filter: \"ExecutionStatus = 'Running'\".",
)
@output_option("text", "json")
@connection_options
def list_rollouts(limit: int, query: str | None, output: str, connection: Any) -> Exit:
    """List rollouts, newest first.

    \b
    kitsune list
    kitsune list -n 5 -o json
    kitsune list --query "ExecutionStatus = 'Running'"
    """  # noqa: D301 - click's sign for "do not wrap"
    with fleet_session(connection) as session:
        rows = session.run(session.fleet.rollouts(limit=limit, query=query))
    if output == "json":
        print_json([_row_json(row) for row in rows])
    elif not rows:
        print_line(stderr_console(), "no rollouts: start one with `kitsune run PLAN`")
    else:
        _print_rows(rows, now=datetime.now(UTC))
    return Exit.OK


def _show_open(row: "RolloutRow", progress: Progress | None, *, output: str) -> None:
    if progress is None:
        print_words(stderr_console(), _NO_WORKER)
    if output == "json":
        print_json(json_of(progress) if progress else _row_json(row))
    elif progress is None:
        _print_rows([row], now=datetime.now(UTC))
    else:
        _print_origin(row)
        _print_progress(progress)
        say(f"follow it with: kitsune watch {row.rollout_id}")


def _show_ended(session: FleetSession, outcome: "Outcome", row: "RolloutRow") -> None:
    from kitsune.service.outcomes import CutShort, Finished

    console, rollout_id = stdout_console(), row.rollout_id
    _print_origin(row)
    for line in recap(outcome, rollout_id=rollout_id, glyphs=glyphs(console)):
        print_words(console, line)
    if isinstance(outcome, Finished):
        _print_orders(outcome.result.orders)
    if isinstance(outcome, Finished):
        print_line(console)
        _print_servers(progress_at_end(None, outcome.result).servers)
    elif isinstance(outcome, CutShort):
        last = session.run(session.fleet.last_progress(rollout_id))
        if last is None:
            print_words(stderr_console(), _NO_WORKER)
        else:
            print_line(console)
            print_line(console, "The last that the rollout said of itself:")
            print_line(console)
            _print_progress(last)


def _print_progress(progress: Progress) -> None:
    console = stdout_console()
    lines = summary(progress, now=datetime.now(UTC), width=console.width, glyphs=glyphs(console))
    for line in lines:
        print_words(console, line)
    if progress.servers:
        print_line(console)
        _print_servers(progress.servers)
    _print_orders(progress.orders)


def _print_origin(row: "RolloutRow") -> None:
    if row.origin:
        print_line(stdout_console(), row.origin)


def _print_orders(orders: Sequence[OrderRecord]) -> None:
    console = stdout_console()
    lines = orders_lines(orders, now=datetime.now(UTC), width=terminal_width(console))
    for line in [Text(), *lines] if lines else []:
        print_line(console, line)


def _print_servers(servers: Sequence[ServerProgress]) -> None:
    listed = servers
    if len(servers) > _SERVERS_LISTED:
        listed = [server for server in servers if server.state not in _DULL]
    if listed:
        columns = [
            Column("SERVER"),
            Column("STATE"),
            Column("UNDONE"),
            Column("TOOK"),
            Column("ERROR"),
        ]
        print_table(columns, [_server_cells(server) for server in listed])
    if len(listed) < len(servers):
        left = len(servers) - len(listed)
        print_line(stdout_console(), f"and {left} more, of which there is nothing to tell")


def _server_cells(server: ServerProgress) -> list[Cell]:
    look = look_of(server.state)
    sign = glyph_of(server.state, glyphs(stdout_console()))
    undone = ("failed", "bold red") if server.rollback_failed else ("", "")
    if server.rollback_pending:
        undone = ("pending", "bold yellow")
    if server.rolled_back:
        undone = ("rolled back", "yellow")
    told = "" if server.state == ServerStatus.NOT_STARTED else server.error or ""
    return [
        server.server_id,
        (f"{sign} {look.word}", look.style),
        undone,
        lasted(server.started_at, server.ended_at),
        next(iter(told.splitlines()), ""),
    ]


def _print_rows(rows: Sequence["RolloutRow"], *, now: datetime) -> None:
    columns = [
        Column("ID"),
        Column("NAME"),
        Column("STATE"),
        Column("SERVERS"),
        Column("STARTED"),
        Column("TOOK"),
    ]
    print_table(
        columns,
        [
            [
                row.rollout_id,
                f"{row.name} ({row.origin})" if row.origin else row.name,
                _state_cell(row),
                _servers_text(row),
                ago(row.started_at, now),
                lasted(row.started_at, row.ended_at),
            ]
            for row in rows
        ],
    )


def _state_cell(row: "RolloutRow") -> Cell:
    """Return a rollout's state, with what waits for a person first."""
    waits = [
        *(["paused"] if row.paused else []),
        *([f"gate {row.gate}"] if row.gate else []),
        *([f"{row.held} held"] if row.held else []),
    ]
    if waits:
        return (", ".join(waits), "bold yellow")
    return (row.state, _STYLES.get(row.state, ""))


_STYLES = {
    "succeeded": "green",
    "running": "cyan",
    "starting": "cyan",
    "failed": "bold red",
    "stopped": "bold red",
    "refused": "bold red",
    "terminated": "magenta",
    "timedOut": "magenta",
    "canceled": "magenta",
    "aborted": "yellow",
    "incomplete": "yellow",
}


def _servers_text(row: "RolloutRow") -> str:
    total = "" if row.total is None else str(row.total)
    counted = ", ".join(f"{count} {look_of(state).word}" for state, count in in_order(row.counts))
    if row.rollback_failed:
        counted += f", {row.rollback_failed} rollback failed"
    if row.rollback_pending:
        counted += f", {row.rollback_pending} rollback pending"
    return f"{total}: {counted}" if total and counted else total or counted


def _row_json(row: "RolloutRow") -> dict[str, Any]:
    return {
        "rolloutId": row.rollout_id,
        "name": row.name,
        "state": row.state,
        "open": row.open,
        "total": row.total,
        "counts": row.counts,
        "rollbackFailed": row.rollback_failed,
        "rollbackPending": row.rollback_pending,
        "paused": row.paused,
        "gate": row.gate or None,
        "held": row.held,
        "origin": row.origin or None,
        "startedBy": row.started_by or None,
        "startedAt": stamp(row.started_at),
        "endedAt": stamp(row.ended_at) if row.ended_at else None,
    }
