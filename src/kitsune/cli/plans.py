"""`kitsune validate`, `kitsune preview` and `kitsune schema`: what can be said of a plan before it runs.

stdout gets the answer, stderr the problems and warnings; with `-o json`, stdout gets all of it.
"""

from typing import TYPE_CHECKING, Any

import click

from kitsune.cli.absences import absence_warnings, look_for_absent
from kitsune.cli.completing import plan_files
from kitsune.cli.connection_options import connection_options, fleet_session, output_option
from kitsune.cli.console import (
    data_text,
    glyphs,
    print_json,
    print_line,
    safe,
    stderr_console,
    stdout_console,
    terminal_width,
)
from kitsune.cli.exits import Exit
from kitsune.errors import PlanUnreadable

if TYPE_CHECKING:
    from kitsune.handlers.registry import HandlerRegistry
    from kitsune.handlers.validation import Checked
    from kitsune.planfile.document import Located


@click.command()
@click.argument("plan_files", metavar="PLAN...", nargs=-1, required=True, shell_complete=plan_files)
@output_option("text", "json")
def validate(*, plan_files: tuple[str, ...], output: str) -> Exit:
    """Check plans without a server; PLAN is a YAML or JSON file, or - for standard input.

    \b
    kitsune validate plan.yaml
    kitsune validate plans/*.yaml -o json

    Every problem is told at once, with its file, line and column. Exit code 8 when any plan is refused.
    """  # noqa: D301 - click's sign for "do not wrap"
    from kitsune.handlers.registry import load_handlers

    registry = load_handlers()
    answers = [_validate(plan_file, registry, quiet=output == "json") for plan_file in plan_files]
    if output == "json":
        print_json({"plans": answers})
    return Exit.OK if all(answer["valid"] for answer in answers) else Exit.REFUSED


@click.command()
@click.argument("plan_file", metavar="PLAN", shell_complete=plan_files)
@click.option("--servers", metavar="A,B|@FILE", help="Take the place of the plan's servers.")
@click.option("--all", "show_all", is_flag=True, help="Name every batch and every server.")
@click.option(
    "--check-servers",
    is_flag=True,
    help="Ask Temporal which of the servers nobody serves now; needs a connection.",
)
@output_option("text", "json")
@connection_options
def preview(
    *,
    plan_file: str,
    servers: str | None,
    show_all: bool,
    check_servers: bool,
    output: str,
    connection: Any,
) -> Exit:
    """Show what a plan would do, in which order, and when it would stop; nothing is touched.

    \b
    kitsune preview plan.yaml
    kitsune preview plan.yaml --servers @web-servers.txt --all
    kitsune preview plan.yaml --check-servers    # as `kitsune run` does: are its servers there?

    Without --check-servers nothing but the plan is needed.
    """  # noqa: D301 - click's sign for "do not wrap"
    from kitsune.cli.preview_text import preview_lines
    from kitsune.handlers.registry import load_handlers
    from kitsune.planfile.loading import load_and_check, parse_servers_option, preview_of
    from kitsune.rollout.preview import absence_rule

    registry = load_handlers()
    chosen = None if servers is None else parse_servers_option(servers)
    loaded = load_and_check(plan_file, registry, servers=chosen)
    shown = preview_of(loaded, registry)
    if check_servers:
        with fleet_session(connection) as session:
            absent = look_for_absent(session, loaded.plan.servers)
        found = absence_warnings(absent, rule=absence_rule(shown))
        shown = shown.model_copy(update={"warnings": [*found, *shown.warnings]})
    if output == "json":
        print_json(shown.model_dump(mode="json", by_alias=True))
        return Exit.OK
    console = stdout_console()
    width = terminal_width(console)
    for line in preview_lines(shown, signs=glyphs(console), show_all=show_all, width=width):
        print_line(console, line)
    return Exit.OK


@click.command()
@click.option(
    "-o", "--output", type=click.Choice(["json"]), default="json", help="What stdout gets."
)
def schema(*, output: str) -> Exit:
    """Print the JSON Schema (2020-12) of plans, with the params of every step type installed here.

    \b
    kitsune schema > plan.schema.json
    # then, as the first line of a plan:
    # yaml-language-server: $schema=plan.schema.json
    """  # noqa: D301 - click's sign for "do not wrap"
    from kitsune.handlers.registry import load_handlers
    from kitsune.planfile.schema import plan_schema

    del output
    print_json(plan_schema(load_handlers()))
    return Exit.OK


def _validate(plan_file: str, registry: "HandlerRegistry", *, quiet: bool) -> dict[str, Any]:
    """Check one file, say so unless `quiet`, and return the answer for `-o json`."""
    from kitsune.handlers.validation import Checked
    from kitsune.models.problems import Problem
    from kitsune.planfile.document import Located, read_document
    from kitsune.planfile.loading import check_document

    try:
        document = read_document(plan_file)
        checked, located = check_document(document, registry)
        if not quiet:
            _tell(document.source.name, checked, located)
    except PlanUnreadable as error:
        # It says its own file, line and column.
        checked, located = Checked(plan=None), [Located(Problem(message=str(error)), plan_file)]
        if not quiet:
            _say(str(error))
    return {
        "plan": plan_file,
        "valid": not located,
        "problems": [_json_of(problem) for problem in located],
        "warnings": list(checked.warnings),
        "unknownTypes": list(checked.unknown_types),
    }


def _tell(name: str, checked: "Checked", located: "list[Located]") -> None:
    for problem in located:
        _say(problem.text)
    if checked.plan is None or located:
        return
    for warning in checked.warnings:
        _say(f"{safe(name)}: warning: {safe(warning)}")
    for step_type in checked.unknown_types:
        sentence = (
            f"step type {step_type!r} is not installed here: servers are asked before they run it"
        )
        _say(f"{safe(name)}: warning: {safe(sentence)}")
    steps, servers = len(checked.plan.steps), len(checked.plan.servers)
    counts = f"{_count(steps, 'step')} on {_count(servers, 'server')}"
    print_line(stdout_console(), f"{name}: ok, {counts}")


def _json_of(located: "Located") -> dict[str, Any]:
    problem, place = located.problem, located.place
    return {
        "path": problem.path,
        "message": problem.message,
        "value": problem.value,
        "hint": problem.hint,
        "line": place.line if place else None,
        "column": place.column if place else None,
    }


def _say(text: str) -> None:
    """Write lines that are safe to print already to stderr, never wrapped."""
    print_line(stderr_console(), data_text(text, lines=True))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
