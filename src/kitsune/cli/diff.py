"""`kitsune diff`: what a plan would change on its servers, by asking them; nothing is touched."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from kitsune.cli.absences import absence_warnings, look_for_absent
from kitsune.cli.completing import plan_files
from kitsune.cli.connection_options import connection_options, fleet_session, output_option
from kitsune.cli.console import (
    glyphs,
    print_json,
    print_line,
    print_words,
    stderr_console,
    stdout_console,
)
from kitsune.cli.diff_text import answers_json, diff_lines
from kitsune.cli.exits import Exit
from kitsune.models.checks import CheckStatus
from kitsune.models.durations import parse_duration

if TYPE_CHECKING:
    from kitsune.models.plan import Plan
    from kitsune.rollout.check_groups import ServerCheck
    from kitsune.service.fleet import Fleet


@click.command()
@click.argument("plan_file", metavar="PLAN", shell_complete=plan_files)
@click.option("--servers", metavar="A,B|@FILE", help="Take the place of the plan's servers.")
@click.option("--all", "show_all", is_flag=True, help="Name every server of a group.")
@click.option(
    "--reveal",
    is_flag=True,
    help="Show the content of files as well that not everybody on a server may read.",
)
@click.option(
    "--exit-code",
    "as_exit_code",
    is_flag=True,
    help="Exit with 10 where something differs, else with 4 where something is unknown: a step that cannot be "
    "checked, such as a script, or a server that did not answer.",
)
@click.option(
    "--patience",
    metavar="DURATION",
    default="5s",
    show_default=True,
    help="How long a server may take to answer.",
)
@output_option("text", "json")
@connection_options
def diff(
    *,
    plan_file: str,
    servers: str | None,
    show_all: bool,
    reveal: bool,
    as_exit_code: bool,
    patience: str,
    output: str,
    connection: Any,
) -> Exit:
    """Show what a plan would change on each of its servers; nothing is touched.

    \b
    kitsune diff plan.yaml
    kitsune diff plan.yaml --servers web-1,web-2 --reveal
    kitsune diff plan.yaml --exit-code > drift.txt    # in a nightly job: 10 where servers have drifted

    The local workers compare, step by step, each as things are now: a step that needs what an earlier one would
    do may be said to fail. Servers with the same answer are shown together.
    What cannot be checked, such as a script, is unknown, and never called good; the last line counts such steps.
    Exit code 3 where a step would fail, 4 where a server did not answer.
    """  # noqa: D301 - click's sign for "do not wrap"
    from kitsune.handlers.registry import load_handlers
    from kitsune.planfile.loading import load_and_check, parse_servers_option

    wait = _duration(patience)
    chosen = parse_servers_option(servers) if servers is not None else None
    plan = load_and_check(plan_file, load_handlers(), servers=chosen).plan
    with fleet_session(connection) as session:
        for warning in absence_warnings(look_for_absent(session, plan.servers)):
            print_words(stderr_console(), warning)
        checks = session.run(_ask(session.fleet, plan, reveal=reveal, patience=wait))
    return _tell(plan, checks, output=output, show_all=show_all, as_exit_code=as_exit_code)


def exit_of(checks: "Sequence[ServerCheck]", *, as_exit_code: bool) -> Exit:
    """Return the exit code: failures, then differences where they count, then silence, then what is unknown."""
    from kitsune.rollout.check_groups import worst_of

    found = {result.status for check in checks for result in check.results.values()} | {
        worst_of(check) for check in checks
    }
    if CheckStatus.FAILS in found:
        return Exit.FAILED_SERVERS
    if as_exit_code and CheckStatus.DIFFERS in found:
        return Exit.DIFFERS
    silent = any(check.trouble for check in checks)
    if silent or (as_exit_code and CheckStatus.UNKNOWN in found):
        return Exit.INCOMPLETE
    return Exit.OK


async def _ask(
    fleet: "Fleet", plan: "Plan", *, reveal: bool, patience: timedelta
) -> "list[ServerCheck]":
    found: dict[str, ServerCheck] = {}
    console = stderr_console()
    with ExitStack() as stack:
        shows = console.is_terminal and not console.is_dumb_terminal
        status = stack.enter_context(console.status("asking the servers")) if shows else None
        async for check in fleet.compare(plan, reveal=reveal, patience=patience):
            found[check.server_id] = check
            if status:
                status.update(f"{len(found)} of {len(plan.servers)} servers have answered")
    return [found[server] for server in plan.servers]


def _tell(
    plan: "Plan",
    checks: "Sequence[ServerCheck]",
    *,
    output: str,
    show_all: bool,
    as_exit_code: bool,
) -> Exit:
    from kitsune.rollout.check_groups import group_checks
    from kitsune.rollout.steps import resolve_steps

    steps = group_checks(resolve_steps(plan), checks)
    code = exit_of(checks, as_exit_code=as_exit_code)
    if output == "json":
        print_json({"name": plan.name, "servers": len(plan.servers), **answers_json(steps, checks)})
        return code
    console = stdout_console()
    for line in diff_lines(steps, checks, signs=glyphs(console), show_all=show_all):
        print_line(console, line)
    return code


def _duration(text: str) -> timedelta:
    try:
        wait = parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--patience") from error
    if wait <= timedelta():
        raise click.BadParameter("must be longer than nothing", param_hint="--patience")
    return wait
