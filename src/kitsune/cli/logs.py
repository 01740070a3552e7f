"""`kitsune logs`: what steps have printed, from the servers' own disks; live while they run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import click

from kitsune.cli.completing import rollouts, servers
from kitsune.cli.connection_options import connection_options, fleet_session, output_option
from kitsune.cli.console import print_json, stdout_console
from kitsune.cli.events import stamp
from kitsune.cli.exits import Exit
from kitsune.cli.log_reading import Asked, LogReading, Target, find_targets
from kitsune.cli.log_text import Layout, LogPrinter, RawWriter
from kitsune.errors import ServerAway
from kitsune.models.results import json_of

if TYPE_CHECKING:
    from kitsune.models.plan import Plan
    from kitsune.service.fleet import Fleet
    from kitsune.service.tailing import Choice

_STREAMS: dict[str, Sequence[Literal["stdout", "stderr"]]] = {
    "both": ("stdout", "stderr"),
    "stdout": ("stdout",),
    "stderr": ("stderr",),
}


@click.command()
@click.argument("rollout_id", metavar="ID", shell_complete=rollouts)
@click.argument("server_id", metavar="[SERVER]", required=False, shell_complete=servers)
@click.option("--step", metavar="STEP", help="Only this step: its name, or its number from 1.")
@click.option(
    "-f", "--follow", is_flag=True, help="Go on until the server or the rollout has ended."
)
@click.option(
    "--failed", is_flag=True, help="The step that failed, of every server that did not succeed."
)
@click.option(
    "--stream",
    type=click.Choice(list(_STREAMS)),
    default="both",
    show_default=True,
    help="Which output stream.",
)
@click.option("--rollback", is_flag=True, help="What undoing the steps has printed.")
@click.option(
    "--attempt", metavar="N", type=click.IntRange(1), help="Which execution; the last if left out."
)
@click.option(
    "-n",
    "--tail",
    metavar="LINES",
    type=click.IntRange(1),
    help="Only the last lines of each stream.",
)
@click.option("--raw", is_flag=True, help="The bytes as they are, of one stream, unescaped.")
@output_option("text", "json")
@connection_options
def logs(
    *,
    rollout_id: str,
    server_id: str | None,
    step: str | None,
    follow: bool,
    failed: bool,
    stream: str,
    rollback: bool,
    attempt: int | None,
    tail: int | None,
    raw: bool,
    output: str,
    connection: Any,
) -> Exit:
    """Show what the steps of a rollout have printed, from the servers' own disks.

    \b
    kitsune logs web-2-14-0-k3v7qa web-17                everything that a server has printed
    kitsune logs web-2-14-0-k3v7qa web-17 -f             the same, and on while it runs
    kitsune logs web-2-14-0-k3v7qa -f                    all running servers, a line at a time
    kitsune logs web-2-14-0-k3v7qa --failed -n 20        why servers have failed
    kitsune logs web-2-14-0-k3v7qa web-17 --step build --stream stdout --raw > build.log

    Control characters are shown as in \\x1b[2J, except with --raw.
    Of a server that is away, what the rollout's result has kept is shown, and the exit code is 4.
    With -o json, which output there is, without the output itself.
    """  # noqa: D301 - click's sign for "do not wrap"
    if raw and (stream == "both" or not step or not server_id):
        raise click.UsageError(
            "--raw gives one stream back: name a SERVER, a --step, and --stream stdout or stderr"
        )
    if follow and (tail or attempt or failed or output == "json"):
        raise click.UsageError(
            "--follow shows everything as it comes: leave out --tail, --attempt, --failed and -o json"
        )
    asked = Asked(follow=follow, failed=failed, attempt=attempt, tail=tail, raw=raw)
    with fleet_session(connection) as session:
        plan = session.run(session.fleet.plan_of(rollout_id))
        choice = _choice(
            plan, step, stream=stream, phase="rollback" if rollback else None, attempt=attempt
        )
        targets = session.run(
            find_targets(session.fleet, rollout_id, plan, server_id, choice=choice, asked=asked)
        )
        if output == "json":
            return session.run(_print_list(session.fleet, rollout_id, targets))
        layout = _layout(targets, one_stream=bool(step) and stream != "both", asked=asked)
        writer = RawWriter() if raw else LogPrinter(stdout_console(), layout)
        reading = LogReading(session.fleet, rollout_id, targets, writer, asked=asked)
        try:
            return session.run(reading.follow() if follow else reading.read())
        except KeyboardInterrupt:
            return Exit.DETACHED
        finally:
            writer.finish()


def _choice(
    plan: "Plan", step: str | None, *, stream: str, phase: str | None, attempt: int | None
) -> "Choice":
    from kitsune.service.tailing import Choice

    index = None if step is None else find_step(plan, step)
    return Choice(step_index=index, phase=phase, attempt=attempt, streams=_STREAMS[stream])


def find_step(plan: "Plan", wanted: str) -> int:
    """Return the index of a step that was named, or numbered from 1.

    Raises:
        BadParameter: There is none; the text says which there are.
    """
    from kitsune.models.problems import nearest

    names = [step.name for step in plan.steps]
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    near = nearest(wanted, names)
    known = f"did you mean {near!r}?" if near else f"it has 1 to {len(names)}, such as {names[0]!r}"
    raise click.BadParameter(f"the plan has no step {wanted!r}: {known}", param_hint="--step")


def _layout(targets: "Sequence[Target]", *, one_stream: bool, asked: Asked) -> Layout:
    if len(targets) != 1:
        return "prefixes" if asked.follow else "headers"
    return "plain" if one_stream else "headers"


async def _print_list(fleet: "Fleet", rollout_id: str, targets: "Sequence[Target]") -> Exit:
    """Print which output there is of each server; servers that are away say so."""
    rows: list[dict[str, Any]] = []
    code = Exit.OK
    for target in targets:
        try:
            rows.append(json_of(await fleet.list_logs(rollout_id, target.server_id)))
        except ServerAway as away:
            code = Exit.INCOMPLETE
            seen = away.last_seen and stamp(away.last_seen)
            rows.append({"serverId": target.server_id, "error": str(away), "lastSeen": seen})
    print_json({"rolloutId": rollout_id, "servers": rows})
    return code
