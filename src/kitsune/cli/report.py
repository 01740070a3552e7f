"""`kitsune report`: a rollout as one file that can be mailed, kept, or shown by a CI system."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kitsune.cli.completing import rollouts
from kitsune.cli.connection_options import connection_options, fleet_session
from kitsune.cli.exits import Exit
from kitsune.cli.watch import say
from kitsune.errors import Conflict, NotFound

if TYPE_CHECKING:
    from kitsune.models.plan import Plan
    from kitsune.report.record import Record
    from kitsune.service.fleet import Fleet

_FORMATS = ("md", "html", "json", "junit")
_OF_SUFFIX = {".md": "md", ".html": "html", ".htm": "html", ".json": "json", ".xml": "junit"}


@click.command()
@click.argument("rollout_id", metavar="ID", shell_complete=rollouts)
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    help="Default: as the file's name says, else md.",
)
@click.option("-f", "--file", "path", metavar="FILE", help="Where to; standard output if left out.")
@connection_options
def report(rollout_id: str, form: str | None, path: str | None, connection: Any) -> Exit:
    """Write a record of a rollout that needs nothing else to be read: outcome, failures, orders, a timeline per server.

    \b
    kitsune report web-2-14-0-k3v7qa                     Markdown, for a ticket
    kitsune report web-2-14-0-k3v7qa -f rollout.html     one file with everything in it, for a mail
    kitsune report web-2-14-0-k3v7qa --format junit      for a CI system

    Params of steps are left out, for they may hold secrets; what failing steps have printed last is in it.
    The exit code says whether the report could be made, not how the rollout went.
    """  # noqa: D301 - click's sign for "do not wrap"
    chosen = form or _OF_SUFFIX.get(Path(path or "").suffix.lower(), "md")
    with fleet_session(connection) as session:
        record = session.run(record_of(session.fleet, rollout_id))
    text = _written(record, chosen)
    if path in (None, "-"):
        sys.stdout.write(text)
        return Exit.OK
    Path(str(path)).write_text(text, encoding="utf-8")
    say(f"{path}: {len(text.encode()):,} bytes")
    return Exit.OK


async def record_of(fleet: "Fleet", rollout_id: str) -> "Record":
    """Return what is known of a rollout.

    Raises:
        NotFound: There is no such rollout.
        Conflict: Nothing is known beyond its id, for no orchestration worker answers.
    """
    from kitsune.report.record import record_of_progress, record_of_result
    from kitsune.service.outcomes import Finished, Refused

    now = datetime.now(UTC)
    row = await fleet.find(rollout_id)
    plan = await _plan(fleet, rollout_id)
    ended = ""
    if not row.open:
        outcome = await fleet.outcome(rollout_id)
        if isinstance(outcome, Finished):
            return record_of_result(outcome.result, plan, made_at=now)
        if isinstance(outcome, Refused):
            return _refused(rollout_id, row.name, outcome.message, plan, made_at=now)
        ended = outcome.state
    progress = await fleet.last_progress(rollout_id)
    if progress is None:
        raise Conflict(
            f"no orchestration worker answers, so nothing is known of {rollout_id!r} beyond `kitsune list`: "
            "start one with `kitsune orchestration-worker`"
        )
    return record_of_progress(progress, plan, ended=ended, made_at=now)


def _refused(
    rollout_id: str, name: str, message: str, plan: "Plan | None", *, made_at: datetime
) -> "Record":
    from kitsune.report.record import Record

    return Record(
        rollout_id=rollout_id,
        name=name,
        status="refused",
        headline="refused; no server was touched",
        reason=message,
        made_at=made_at,
        plan=plan,
    )


async def _plan(fleet: "Fleet", rollout_id: str) -> "Plan | None":
    try:
        return await fleet.plan_of(rollout_id)
    except NotFound:
        return None


def _written(record: "Record", form: str) -> str:
    from kitsune.report.as_json import as_json
    from kitsune.report.html import as_html
    from kitsune.report.junit import as_junit
    from kitsune.report.markdown import as_markdown

    write = {"md": as_markdown, "html": as_html, "json": as_json, "junit": as_junit}[form]
    return write(record)
