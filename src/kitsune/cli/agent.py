"""`kitsune agent journal` and `kitsune agent gc`: the state of this server's local worker, whether it runs or not."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kitsune.cli.ages import age_option, asked_retention
from kitsune.cli.connection_options import output_option
from kitsune.cli.console import print_json, print_line, stderr_console, stdout_console
from kitsune.cli.events import stamp
from kitsune.cli.exits import Exit
from kitsune.cli.recap import lasted
from kitsune.cli.tables import Cell, Column, ago, print_table
from kitsune.models.bytes import format_bytes
from kitsune.models.plan import check_server_id
from kitsune.names import ENV_SERVER_ID, ENV_STATE_DIR

if TYPE_CHECKING:
    from kitsune.agent.journal import Entry
    from kitsune.agent.retention import Tidied

_STYLES = {
    "running": "cyan",
    "succeeded": "green",
    "failed": "bold red",
    "interrupted": "magenta",
    "cancelled": "yellow",
    "undone": "yellow",
}


@click.group()
def agent() -> None:
    """Look at what a local worker has done on this server, and clean up after it.

    \b
    kitsune agent journal            what this server has begun, and how it ended
    kitsune agent gc                 clean up now

    Both commands work on the state folder of this host, as `kitsune local-worker` finds it:
    $KITSUNE_STATE_DIR, else /var/lib/kitsune/SERVER_ID for root, else under $XDG_STATE_HOME.
    They need neither Temporal nor a local worker that runs.
    """  # noqa: D301 - click's sign for "do not wrap"


def _server_option(command: Any) -> Any:
    return click.option(
        "--server-id",
        envvar=ENV_SERVER_ID,
        show_envvar=True,
        help=f"Whose state; not needed where {ENV_STATE_DIR} names the folder.",
    )(command)


@agent.command()
@_server_option
@click.option("--rollout", metavar="ID", help="Only the steps of this rollout.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="At most so many operations, the newest ones.",
)
@output_option("text", "json")
def journal(server_id: str | None, rollout: str | None, limit: int, output: str) -> Exit:
    """Show what this server has begun and how it ended, newest first.

    \b
    kitsune agent journal
    kitsune agent journal --rollout web-2-14-0-k3v7qa -o json

    RUNS counts executions of a step, GIVEN how often Temporal has handed it out.
    "started" means that no end is recorded: it runs, or its local worker died.
    """  # noqa: D301 - click's sign for "do not wrap"
    from kitsune.agent.journal import read_journal

    state = _state(server_id)
    entries = read_journal(state / "journal.sqlite", limit=limit, rollout_id=rollout)
    if output == "json":
        operations = [_entry_json(entry) for entry in entries]
        print_json({"stateDir": str(state), "operations": operations})
        return Exit.OK
    if not entries:
        of = f" of rollout {rollout!r}" if rollout else ""
        print_line(stderr_console(), f"the journal in {str(state)!r} holds no operation{of}")
        return Exit.OK
    now = datetime.now(UTC)
    columns = [
        *(Column(title) for title in ("STARTED", "ROLLOUT", "STEP", "PHASE", "STATE")),
        *(Column(title, right=True) for title in ("RUNS", "GIVEN", "EXIT", "TOOK")),
        Column("ERROR"),
    ]
    print_table(columns, [_cells(entry, now=now) for entry in entries])
    return Exit.OK


@agent.command()
@_server_option
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option(
    "--older-than",
    metavar="AGE",
    callback=age_option,
    help="Such as 12h or 7d; else KITSUNE_UNDO_RETENTION, else 30d.",
)
@output_option("text", "json")
def gc(*, server_id: str | None, dry_run: bool, older_than: timedelta | None, output: str) -> Exit:
    """Remove journal rows, undo records and output that are kept no longer.

    \b
    kitsune agent gc --dry-run
    kitsune agent gc --older-than 7d

    A local worker does the same at its start and every hour. What belongs to a rollout that runs something
    here now, or that Temporal may hand out again (for a day or more after a step began), is never removed.
    A rollout whose undo records are gone cannot be rolled back on this server.
    """  # noqa: D301 - click's sign for "do not wrap"
    from kitsune.agent.retention import tidy

    state = _state(server_id)
    if not (state / "journal.sqlite").exists():
        raise click.UsageError(
            f"no local worker has worked in {str(state)!r}: is it the right folder?"
        )
    done = tidy(state, asked_retention(older_than), dry_run=dry_run)
    if output == "json":
        print_json(_tidied_json(state, done, dry_run=dry_run))
    else:
        _print_tidied(done, dry_run=dry_run)
    for trouble in done.troubles:
        print_line(stderr_console(), trouble)
    return Exit.USAGE if done.troubles else Exit.OK


def _state(server_id: str | None) -> Path:
    from kitsune.agent.state import state_folder

    if not server_id and not os.environ.get(ENV_STATE_DIR):
        raise click.UsageError(
            f"which server? give --server-id, or set {ENV_SERVER_ID} or {ENV_STATE_DIR}"
        )
    try:
        return state_folder(check_server_id(server_id) if server_id else "", os.environ)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--server-id") from error


def _cells(entry: "Entry", *, now: datetime) -> list[Cell]:
    word = _word(entry)
    outputs = entry.outcome.outputs if entry.outcome and entry.ended_at else {}
    told = (entry.outcome.error or "") if entry.outcome and entry.ended_at else ""
    ended = outputs.get("signal") or outputs.get("exitCode")
    return [
        ago(entry.started_at, now),
        entry.rollout_id,
        entry.step,
        entry.phase,
        (word, _STYLES.get(word, "")),
        str(entry.executions),
        str(entry.deliveries),
        "" if ended is None else str(ended),
        lasted(entry.started_at, entry.ended_at) if entry.ended_at else "",
        next(iter(told.splitlines()), ""),
    ]


def _word(entry: "Entry") -> str:
    """Return how it stands: an outcome's own word, `undone`, `started`, or `running` where its process lives."""
    from kitsune.agent.proc import boot_id, process_start_time

    if entry.state != "started":
        ended = entry.outcome.status if entry.outcome else entry.state
        return "undone" if entry.undone and entry.phase == "execute" else ended
    alive = (
        entry.pid is not None
        and entry.pid_start is not None
        and entry.boot_id == boot_id()
        and process_start_time(entry.pid) == entry.pid_start
    )
    return "running" if alive else "started"


def _entry_json(entry: "Entry") -> dict[str, Any]:
    outcome = entry.outcome if entry.ended_at else None
    outputs = outcome.outputs if outcome else {}
    return {
        "operationId": entry.id,
        "rolloutId": entry.rollout_id,
        "runId": entry.run_id,
        "serverId": entry.server_id,
        "step": entry.step,
        "stepIndex": entry.step_index,
        "stepType": entry.step_type,
        "phase": entry.phase,
        "state": _word(entry),
        "final": entry.state == "finished",
        "undone": entry.undone,
        "startedAt": stamp(entry.started_at),
        "endedAt": stamp(entry.ended_at) if entry.ended_at else None,
        "executions": entry.executions,
        "interruptions": entry.interruptions,
        "deliveries": entry.deliveries,
        "exitCode": outputs.get("exitCode"),
        "signal": outputs.get("signal"),
        "error": outcome.error if outcome else None,
        "bootId": entry.boot_id,
        "pid": entry.pid,
    }


_KINDS = {"journal": "journal row", "undo": "undo record", "output": "output"}


def _print_tidied(done: "Tidied", *, dry_run: bool) -> None:
    folders = [each for each in done.removed if each.kind != "journal"]
    if folders:
        print_table(
            [Column("WHAT"), Column("OPERATION"), Column("SIZE", right=True), Column("WHY")],
            [
                [_KINDS[each.kind], each.operation_id, format_bytes(each.bytes), each.reason]
                for each in folders
            ],
        )
        print_line(stdout_console())
    verb = "would remove" if dry_run else "removed"
    if not done.removed:
        print_line(stdout_console(), "nothing to remove")
        return
    counted = []
    for kind, noun in _KINDS.items():
        count = sum(each.kind == kind for each in done.removed)
        counted += [f"{count} {noun}{'' if count == 1 else 's'}"] if count else []
    size = format_bytes(sum(each.bytes for each in done.removed))
    print_line(stdout_console(), f"{verb} {', '.join(counted)}: {size}")


def _tidied_json(state: Path, done: "Tidied", *, dry_run: bool) -> dict[str, Any]:
    return {
        "stateDir": str(state),
        "dryRun": dry_run,
        "removed": [
            {
                "kind": each.kind,
                "operationId": each.operation_id,
                "bytes": each.bytes,
                "reason": each.reason,
            }
            for each in done.removed
        ],
        "bytes": sum(each.bytes for each in done.removed),
        "troubles": done.troubles,
    }
