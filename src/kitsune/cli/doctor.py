"""`kitsune doctor`: is everything there that a rollout needs, and what to do where it is not."""

import textwrap
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from kitsune.cli.connection_options import (
    connection_options,
    fleet_session,
    output_option,
    timeout_option,
)
from kitsune.cli.console import print_json, print_line, safe, stdout_console
from kitsune.cli.exits import Exit
from kitsune.models.plan import check_server_id

if TYPE_CHECKING:
    from kitsune.service.checks import Finding

_PING = timedelta(seconds=10)
_WIDTH = 60
_INDENT = " " * 9
_STYLES = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command()
@click.option(
    "--server", "server_ids", multiple=True, metavar="ID", help="Only this server; may be repeated."
)
@output_option("text", "json")
@timeout_option("How long each server may take to answer (default: 10s).")
@connection_options
def doctor(
    server_ids: tuple[str, ...], output: str, timeout: timedelta | None, connection: Any
) -> Exit:
    """Check Temporal, the orchestration workers and local workers; say what to do about each finding.

    \b
    kitsune doctor
    kitsune doctor --server web-1 --server web-2

    Every local worker that Temporal has heard of is asked to answer; nothing is changed on a server.
    Name servers with --server to find those that Temporal has forgotten.

    Exit code 0: nothing wrong, or warnings only. 3: a problem. 69: Temporal not reachable.
    """  # noqa: D301 - click's sign for "do not wrap"
    for server_id in server_ids:
        try:
            check_server_id(server_id)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--server") from error
    from kitsune.service.checks import Level, worst_of

    with fleet_session(connection) as session:
        findings = session.run(
            session.fleet.examine(
                server_ids, now=lambda: datetime.now(UTC), timeout=timeout or _PING
            )
        )
    worst = worst_of(findings)
    if output == "json":
        print_json({"worst": worst.value, "findings": [_as_json(finding) for finding in findings]})
    else:
        for finding in findings:
            for line in lines_of(finding):
                print_line(stdout_console(), line)
    return Exit.FAILED_SERVERS if worst is Level.PROBLEM else Exit.OK


def lines_of(finding: "Finding") -> list[Text]:
    """Return a finding in lines of 60 columns: the level, what was seen, and below it what to do."""
    level = finding.level.value
    seen = _wrapped(f"{finding.check}: {finding.seen}")
    first = Text(f"{level:<8} ", style=_STYLES[level]).append(seen[0], style="default")
    advice = _wrapped(f"-> {finding.advice}") if finding.advice else []
    return [first, *(Text(_INDENT + line) for line in [*seen[1:], *advice])]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        safe(text), _WIDTH - len(_INDENT), break_long_words=False, break_on_hyphens=False
    ) or [""]


def _as_json(finding: "Finding") -> dict[str, Any]:
    return {
        "check": finding.check,
        "level": finding.level.value,
        "seen": finding.seen,
        "advice": finding.advice,
        "servers": list(finding.servers),
    }
