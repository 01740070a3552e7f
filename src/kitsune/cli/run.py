"""`kitsune run`: check a plan, say what it will do, ask, start it, follow it, recap.

What goes where: see `kitsune.cli.watch`. With `--detach`, stdout gets the rollout's id and nothing else.
"""

import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from kitsune.cli.absences import absence_warnings, look_for_absent
from kitsune.cli.completing import plan_files
from kitsune.cli.connection_options import (
    FleetSession,
    connection_options,
    fleet_session,
    output_option,
    timeout_option,
)
from kitsune.cli.console import (
    Glyphs,
    data_text,
    glyphs,
    print_words,
    safe,
    stderr_console,
)
from kitsune.cli.exits import Exit
from kitsune.cli.launch import launch
from kitsune.cli.watch import say

if TYPE_CHECKING:
    from kitsune.planfile.loading import Loaded
    from kitsune.rollout.preview import Preview

_BATCHES_NAMED = 6
_WARNINGS_SHOWN = 10


@click.command()
@click.argument("plan_file", metavar="PLAN", shell_complete=plan_files)
@click.option(
    "--id",
    "rollout_id",
    metavar="ID",
    help="Idempotency token: the same id and plan joins the rollout that there is, another plan is refused (9).",
)
@click.option("--servers", metavar="A,B|@FILE", help="Take the place of the plan's servers.")
@click.option("-d", "--detach", is_flag=True, help="Start, print the id, and do not watch.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask. Off a terminal nobody is asked.")
@timeout_option("Stop watching after so long, with exit code 124; the rollout goes on.")
@output_option("text", "json", "jsonl")
@connection_options
def run(
    *,
    plan_file: str,
    rollout_id: str | None,
    servers: str | None,
    detach: bool,
    yes: bool,
    timeout: timedelta | None,
    output: str,
    connection: Any,
) -> Exit:
    """Run a plan on its servers and watch it; PLAN is a YAML or JSON file, or - for standard input.

    \b
    kitsune run plan.yaml
    kitsune run plan.yaml --servers web-1,web-2 --yes
    kitsune run plan.yaml --id release-2.14.0 -o json
    id=$(kitsune run plan.yaml --detach) && kitsune watch "$id"

    Asks before it starts when stdin and stderr are terminals; elsewhere, as in CI, it starts at once.
    Says before that which servers nobody serves now, as after a slip in a name; the plan decides what becomes of them.
    Ctrl-C detaches (exit 130): the rollout goes on, and `kitsune watch ID` comes back to it.
    """  # noqa: D301 - click's sign for "do not wrap"
    loaded, preview = _load(plan_file, servers)
    chosen = _chosen_id(rollout_id, loaded.plan.name)
    with fleet_session(connection) as session:
        tell_plan(preview)
        _tell_absent(session, loaded.plan.servers, preview)
        if not yes and not _agreed(preview, plan_file):
            say("not started")
            return Exit.REFUSED
        return launch(
            session,
            loaded.wire,
            rollout_id=chosen,
            output=output,
            detach=detach,
            timeout=timeout,
            plan_file=plan_file,
        )


def short_preview(preview: "Preview", signs: Glyphs) -> Iterator[Text]:
    """Yield what a plan would do in a few lines."""
    steps = f"{len(preview.steps)} step{'' if len(preview.steps) == 1 else 's'}"
    servers = f"{preview.servers} server{'' if preview.servers == 1 else 's'}"
    head = Text().append(safe(preview.name), style="bold")
    yield head.append(f": {steps} on {servers}, {_batches_text(preview)}")
    yield data_text(f"  {preview.limit_text}; {_undone_text(preview)}")
    for warning in preview.warnings[:_WARNINGS_SHOWN]:
        yield _warning(warning, signs)
    if len(preview.warnings) > _WARNINGS_SHOWN:
        left = len(preview.warnings) - _WARNINGS_SHOWN
        yield Text(f"  {signs.ellipsis} {left} more warnings: see `kitsune preview`")
    if preview.unknown_types:
        types = ", ".join(preview.unknown_types)
        yield data_text(
            f"  only the servers know {types}: they are asked before anything is touched"
        )


def _warning(text: str, signs: Glyphs) -> Text:
    return Text().append(f"  {signs.warning} ", style="yellow").append(safe(text))


_ROLLBACK = {
    "none": "nothing is undone",
    "server": "a server that fails is undone",
    "fleet": "when it stops, every server is undone",
}


def _undone_text(preview: "Preview") -> str:
    """Return what becomes of servers that fail."""
    if preview.on_failure != "ask":
        return _ROLLBACK[preview.rollback]
    asked = "a server that fails is held until you decide"
    return f"{asked}; {_ROLLBACK['fleet']}" if preview.rollback == "fleet" else asked


def _batches_text(preview: "Preview") -> str:
    if len(preview.batches) == 1:
        return "all at once" if preview.servers > 1 else "alone"
    sizes = [
        f"{len(batch.servers)}{' canary' if batch.canary else ''}"
        for batch in preview.batches[:_BATCHES_NAMED]
    ]
    more = ", …" if len(preview.batches) > _BATCHES_NAMED else ""
    return f"{preview.strategy} in {len(preview.batches)} batches ({', '.join(sizes)}{more})"


def _load(plan_file: str, servers: str | None) -> "tuple[Loaded, Preview]":
    from kitsune.handlers.registry import load_handlers
    from kitsune.planfile.loading import load_and_check, parse_servers_option, preview_of

    registry = load_handlers()
    chosen = parse_servers_option(servers) if servers is not None else None
    loaded = load_and_check(plan_file, registry, servers=chosen)
    return loaded, preview_of(loaded, registry)


def _chosen_id(rollout_id: str | None, name: str) -> str:
    from kitsune.service.starting import check_rollout_id, new_rollout_id

    if rollout_id is None:
        return new_rollout_id(name)
    try:
        return check_rollout_id(rollout_id)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--id") from error


def tell_plan(preview: "Preview") -> None:
    """Say on stderr what a plan would do."""
    console = stderr_console()
    for line in short_preview(preview, glyphs(console)):
        print_words(console, line)


def _tell_absent(session: FleetSession, servers: Sequence[str], preview: "Preview") -> None:
    """Say on stderr which servers nobody serves now, and what the plan does about it."""
    from kitsune.rollout.preview import absence_rule

    console = stderr_console()
    absent = look_for_absent(session, servers)
    for warning in absence_warnings(absent, rule=absence_rule(preview)):
        print_words(console, _warning(warning, glyphs(console)))


def _agreed(preview: "Preview", plan_file: str) -> bool:
    if plan_file == "-" or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    servers = f"{preview.servers} server{'' if preview.servers == 1 else 's'}"
    return click.confirm(f"Run it on {servers}?", err=True)
