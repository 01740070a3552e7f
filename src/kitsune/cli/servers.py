"""`kitsune servers`: the servers that Temporal has heard of, and what holds them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from kitsune.cli.connection_options import connection_options, fleet_session, output_option
from kitsune.cli.console import print_json, print_line, print_words, stderr_console, stdout_console
from kitsune.cli.events import stamp
from kitsune.cli.exits import Exit
from kitsune.cli.tables import Cell, Column, ago, print_table

if TYPE_CHECKING:
    from kitsune.service.inventory import ServerRow
    from kitsune.service.listing import WorkerRow

_STYLES = {
    "online": "green",
    "silent": "magenta",
    "offline": "magenta",
    "stopping": "yellow",
    "stopped": "dim",
}
_NONE_YET = (
    "no {what} has reported yet (each does every 30 s, so wait a little after a start): "
    "start one with `{command}`"
)


@click.command()
@click.option("--types", is_flag=True, help="Ask each server that is there for its step types.")
@click.option("--held", is_flag=True, help="Only servers on which a rollout runs.")
@output_option("text", "json")
@connection_options
def servers(*, types: bool, held: bool, output: str, connection: Any) -> Exit:
    """List servers: when their local workers were last heard of, what holds them, how busy their hosts are.

    \b
    kitsune servers
    kitsune servers --types
    kitsune servers -o json | jq -r '.servers[] | select(.state != "online").serverId'

    A local worker reports every 30 seconds, and is forgotten some minutes after its last report.
    "silent" means that the reports have stopped; "offline", that a rollout once ran there and no worker is known of.
    Times are by the worker's own clock. CPU and memory are those of the whole host.
    """  # noqa: D301 - click's sign for "do not wrap"
    now = datetime.now(UTC)
    with fleet_session(connection) as session:
        found = session.run(session.fleet.inventory(now=now, ask=types))
    rows = [row for row in found.servers if row.holder or not held]
    if output == "json":
        print_json(
            {
                "servers": [_server_json(row, types=types) for row in rows],
                "orchestrationWorkers": [_worker_json(row) for row in found.orchestrators],
            }
        )
        return Exit.OK
    _tell(rows, found.orchestrators, now=now, types=types, held=held)
    return Exit.OK


def _tell(
    rows: "Sequence[ServerRow]",
    orchestrators: "Sequence[WorkerRow]",
    *,
    now: datetime,
    types: bool,
    held: bool,
) -> None:
    talk = stderr_console()
    if rows:
        _print_servers(rows, now=now, types=types)
    elif held:
        print_line(talk, "no rollout runs on any server")
    else:
        command = "SERVER_ID=server-1 kitsune local-worker"
        print_words(talk, _NONE_YET.format(what="local worker", command=command))
    if held:
        return
    if rows and orchestrators:
        print_line(stdout_console())
    if orchestrators:
        _print_orchestrators(orchestrators, now=now)
    else:
        command = "kitsune orchestration-worker"
        print_words(talk, _NONE_YET.format(what="orchestration worker", command=command))


def _print_servers(rows: "Sequence[ServerRow]", *, now: datetime, types: bool) -> None:
    heads = ["SERVER", "STATE", "HEARD", "HELD BY", "VERSION", "CPU", "MEM", "HOST"]
    columns = [Column(head, right=head in ("CPU", "MEM")) for head in heads]
    if types:
        columns.append(Column("STEP TYPES"))
    lines: list[list[Cell]] = []
    for row in rows:
        line: list[Cell] = [
            row.server_id,
            (row.state, _STYLES.get(row.state, "")),
            ago(row.heard_at, now) if row.heard_at else "",
            (row.holder, "cyan"),
            row.version,
            share(row.cpu),
            share(row.memory),
            row.host,
        ]
        lines.append([*line, " ".join(row.step_types)] if types else line)
    print_table(columns, lines)


def _print_orchestrators(rows: "Sequence[WorkerRow]", *, now: datetime) -> None:
    heads = ["ORCHESTRATION WORKER", "STATE", "HEARD", "VERSION", "CPU", "MEM", "HOST"]
    print_table(
        [Column(head, right=head in ("CPU", "MEM")) for head in heads],
        [
            [
                row.identity,
                (row.state, _STYLES.get(row.state, "")),
                ago(row.heard_at, now),
                row.version,
                share(row.cpu),
                share(row.memory),
                row.host,
            ]
            for row in rows
        ],
    )


def share(used: float | None) -> str:
    """Return a share as `42%`; nothing where it is not known."""
    return "" if used is None else f"{used:.0%}"


def _server_json(row: "ServerRow", *, types: bool) -> dict[str, Any]:
    asked = {"stepTypes": list(row.step_types)} if types else {}
    return {
        "serverId": row.server_id,
        "identity": row.identity,
        "host": row.host,
        "version": row.version,
        "state": row.state,
        "heardAt": stamp(row.heard_at) if row.heard_at else None,
        "heldBy": row.holder or None,
        "lastRollout": row.last_rollout or None,
        "hostCpu": row.cpu,
        "hostMemory": row.memory,
        **asked,
    }


def _worker_json(row: "WorkerRow") -> dict[str, Any]:
    return {
        "identity": row.identity,
        "host": row.host,
        "version": row.version,
        "state": row.state,
        "heardAt": stamp(row.heard_at),
        "hostCpu": row.cpu,
        "hostMemory": row.memory,
    }
