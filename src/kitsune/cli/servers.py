"""`kitsune servers`: the local workers that Temporal has heard of."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from kitsune.cli.connection_options import connection_options, fleet_session, output_option
from kitsune.cli.console import print_json, print_line, stderr_console, stdout_console
from kitsune.cli.events import stamp
from kitsune.cli.exits import Exit
from kitsune.cli.tables import Column, ago, print_table

if TYPE_CHECKING:
    from kitsune.service.listing import WorkerRow

_STYLES = {"online": "green", "silent": "magenta", "stopping": "yellow", "stopped": "dim"}


@click.command()
@output_option("text", "json")
@connection_options
def servers(output: str, connection: Any) -> Exit:
    """List local workers and orchestration workers, and when they were last heard of.

    A worker reports every 30 seconds, and is forgotten some minutes after its last report.
    "silent" means that the reports have stopped. Times are by the worker's own clock.
    """
    now = datetime.now(UTC)
    with fleet_session(connection) as session:
        rows = session.run(session.fleet.servers(now=now))
    if output == "json":
        print_json(
            {
                "servers": [{"serverId": row.queue, **_as_json(row)} for row in rows.servers],
                "orchestrationWorkers": [_as_json(row) for row in rows.orchestrators],
            }
        )
        return Exit.OK
    _print(rows.servers, first="SERVER", now=now)
    if not rows.servers:
        print_line(
            stderr_console(),
            "no local worker has reported yet (each does every 30 s, so wait a little after a start): start one with `SERVER_ID=server-1 kitsune local-worker`",
        )
    if rows.servers and rows.orchestrators:
        print_line(stdout_console())
    _print(rows.orchestrators, first="ORCHESTRATION WORKER", now=now)
    if not rows.orchestrators:
        print_line(
            stderr_console(),
            "no orchestration worker has reported yet (each does every 30 s, so wait a little after a start): start one with `kitsune orchestration-worker`",
        )
    return Exit.OK


def _print(rows: "list[WorkerRow]", *, first: str, now: datetime) -> None:
    if not rows:
        return
    is_server = first == "SERVER"
    print_table(
        [Column(first), Column("STATE"), Column("HEARD"), Column("VERSION"), Column("HOST")]
        + ([Column("IDENTITY")] if is_server else []),
        [
            [
                row.queue if is_server else row.identity,
                (row.state, _STYLES.get(row.state, "")),
                ago(row.heard_at, now),
                row.version,
                row.host,
                *([row.identity] if is_server else []),
            ]
            for row in rows
        ],
    )


def _as_json(row: "WorkerRow") -> dict[str, Any]:
    return {
        "identity": row.identity,
        "host": row.host,
        "version": row.version,
        "state": row.state,
        "heardAt": stamp(row.heard_at),
    }
