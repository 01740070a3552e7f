"""The `kitsune` command: finds commands, turns errors into one line, and ends the process.

Commands live in modules of their own and are imported when they run: `kitsune --help` stays fast.
A command ends by returning an `Exit` (or None for 0); Temporal's client aborts at interpreter exit in some runs
(https://github.com/temporalio/sdk-python/issues/300), so `main` flushes and leaves through `os._exit`.
"""

import importlib
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

from kitsune.cli.exits import MEANINGS, Exit
from kitsune.errors import (
    BadQuery,
    BadRequest,
    BadSetting,
    Conflict,
    DashboardRefused,
    EmbeddedServerError,
    JournalUnavailable,
    KitsuneError,
    NotFound,
    PlanRefused,
    PlanUnreadable,
    ServerAway,
    ServerIdTaken,
    ServerUnavailable,
    StateFolderTaken,
    StateFolderUnusable,
    TooOld,
)
from kitsune.models.printable import safe

#: Command -> (module, attribute, help line).
COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "demo": ("kitsune.cli.demo", "demo", "See a rollout succeed, then one fail and be undone."),
    "dev": (
        "kitsune.cli.dev",
        "dev",
        "Temporal, workers and the dashboard on this machine.",
    ),
    "validate": ("kitsune.cli.plans", "validate", "Check a plan; all problems at once."),
    "preview": ("kitsune.cli.plans", "preview", "Show what a plan would do, and in which order."),
    "diff": (
        "kitsune.cli.diff",
        "diff",
        "Show what a plan would change on each server; touch nothing.",
    ),
    "schema": ("kitsune.cli.plans", "schema", "Print the JSON Schema of plans, for editors."),
    "run": ("kitsune.cli.run", "run", "Run a plan on its servers and watch it."),
    "watch": ("kitsune.cli.watch", "watch", "Follow a rollout until it ends."),
    "status": ("kitsune.cli.status", "status", "Show one rollout."),
    "logs": ("kitsune.cli.logs", "logs", "Show what steps have printed; live with -f."),
    "report": (
        "kitsune.cli.report",
        "report",
        "Write a record of a rollout: md, html, json or junit.",
    ),
    "list": ("kitsune.cli.status", "list_rollouts", "List rollouts, newest first."),
    "abort": ("kitsune.cli.abort", "abort", "Stop a rollout, and undo it with --rollback."),
    "pause": ("kitsune.cli.pausing", "pause", "Hold a rollout; nothing more starts."),
    "resume": ("kitsune.cli.pausing", "resume", "Let a paused rollout go on."),
    "approve": ("kitsune.cli.approve", "approve", "Open the gate at which a rollout waits."),
    "retry": ("kitsune.cli.retry", "retry", "Try a held server, or what failed, again."),
    "skip": ("kitsune.cli.decisions", "skip", "End a held server as it is."),
    "rollback": ("kitsune.cli.rollback", "rollback", "Undo a held server, or an ended rollout."),
    "set": ("kitsune.cli.decisions", "set_limits", "Change a running rollout's limits."),
    "servers": (
        "kitsune.cli.servers",
        "servers",
        "List local workers and when they were last heard of.",
    ),
    "dashboard": (
        "kitsune.cli.dashboard",
        "dashboard",
        "Serve pages and a JSON API for rollouts.",
    ),
    "doctor": ("kitsune.cli.doctor", "doctor", "Check Temporal and the fleet; say what to do."),
    "orchestration-worker": (
        "kitsune.cli.workers",
        "orchestration_worker",
        "Run the orchestration worker.",
    ),
    "local-worker": ("kitsune.cli.workers", "local_worker", "Run the local worker of a server."),
    "agent": (
        "kitsune.cli.agent",
        "agent",
        "Look at what a local worker has done on this server, and clean up.",
    ),
    "completion": (
        "kitsune.cli.completion",
        "completion",
        "Make a shell complete commands, rollouts and servers.",
    ),
    "version": ("kitsune.cli.version", "version", "Print versions."),
}

_EXIT_OF_ERROR: Mapping[type[KitsuneError], Exit] = {
    PlanRefused: Exit.REFUSED,
    PlanUnreadable: Exit.REFUSED,
    Conflict: Exit.CONFLICT,
    StateFolderTaken: Exit.CONFLICT,
    ServerIdTaken: Exit.CONFLICT,
    StateFolderUnusable: Exit.USAGE,
    JournalUnavailable: Exit.USAGE,
    BadSetting: Exit.USAGE,
    BadQuery: Exit.USAGE,
    BadRequest: Exit.USAGE,
    DashboardRefused: Exit.USAGE,
    EmbeddedServerError: Exit.UNAVAILABLE,
    ServerUnavailable: Exit.UNAVAILABLE,
    NotFound: Exit.USAGE,
    ServerAway: Exit.INCOMPLETE,
    TooOld: Exit.USAGE,
}


#: What to type next, where an error's own text does not say it.
_NEXT: Mapping[type[KitsuneError], str] = {
    PlanRefused: "mend the plan, and check it with `kitsune validate`; `kitsune schema` has all its keys",
    PlanUnreadable: "`kitsune validate` checks plan files; `kitsune schema` has all their keys",
    Conflict: "`kitsune list` shows rollouts, `kitsune servers --held` what holds servers",
    StateFolderTaken: "`kitsune agent journal` shows what its local worker does",
    ServerIdTaken: "`kitsune servers` shows who serves which id",
    StateFolderUnusable: "`kitsune local-worker --help` says where state is kept",
    JournalUnavailable: "`kitsune agent --help` says where state is kept",
    BadSetting: "`kitsune --help` lists the commands, and the --help of each its settings",
    BadRequest: "`kitsune --help` lists the commands, and the --help of each what it takes",
    DashboardRefused: "`kitsune dashboard --help` lists its settings",
    BadQuery: "`kitsune list --help` has an example",
    EmbeddedServerError: "`kitsune doctor` looks at a Temporal that runs elsewhere",
    ServerUnavailable: "`kitsune doctor` looks at Temporal and the fleet",
    NotFound: "`kitsune list` shows rollouts",
    TooOld: "`kitsune servers` shows versions",
}
_ANY_NEXT = "`kitsune doctor` looks at Temporal and the fleet"


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used; help lines come from the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; a typo gets the nearest one."""
        from kitsune.models.problems import nearest

        hint = nearest(args[0], COMMANDS) if args and args[0] not in COMMANDS else None
        if hint and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {hint!r}?")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer commands without importing them."""
        offered = [
            CompletionItem(name, help=line)
            for name, (_, _, line) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*offered, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command list without importing any command, and the exit codes."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])
        with formatter.section("Exit codes (the worst wins: 6, 5, 3, 7, 4, 0)"):
            formatter.write_dl([(str(code.value), meaning) for code, meaning in MEANINGS.items()])


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def kitsune() -> None:
    """Run a plan on every server of a fleet, and undo it when that goes wrong.

    \b
    kitsune demo                 see it work on this machine
    kitsune dev                  start Temporal, an orchestrator and three servers
    kitsune preview plan.yaml    what would happen
    kitsune run plan.yaml        make it happen
    """  # noqa: D301 - click wants the character, not the letters


def run_command(arguments: list[str]) -> Exit:
    """Run one command line and return its exit code; errors are written to stderr."""
    try:
        return Exit(
            kitsune.main(args=arguments, prog_name="kitsune", standalone_mode=False) or Exit.OK
        )
    except click.exceptions.Exit as ended:
        return Exit(ended.exit_code)
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        return Exit.DETACHED
    except KitsuneError as error:
        click.echo(f"kitsune: {safe(told_with_next(error), lines=True)}", err=True)
        return next(
            (code for kind, code in _EXIT_OF_ERROR.items() if isinstance(error, kind)), Exit.BUG
        )


def told_with_next(error: KitsuneError) -> str:
    """Return what an error says, and what to type next where it does not say that itself."""
    text = str(error)
    if re.search(r"\bkitsune (?:[a-z]|--help)", text):
        return text
    hint = next((hint for kind, hint in _NEXT.items() if isinstance(error, kind)), _ANY_NEXT)
    return f"{text}\n  next: {hint}"


def main() -> None:
    """Run the command line of this process and end it."""
    code = Exit.BUG
    try:
        code = run_command(sys.argv[1:])
    except SystemExit as ended:  # completion ends so, and click where whoever read us has gone
        code = Exit.OK if not ended.code else Exit.DETACHED
    except BrokenPipeError:
        code = Exit.DETACHED
    except OSError as error:
        code = Exit.USAGE
        click.echo(f"kitsune: {safe(str(error))}", err=True)
    except Exception:  # noqa: BLE001 - the last rim: a bug still ends with a message and a code
        import traceback

        traceback.print_exc()
        click.echo("kitsune: this is a bug; please report it with the lines above", err=True)
    leave(code)


def leave(code: Exit) -> Any:
    """Flush both streams and end the process at once with this code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # nobody reads it, or there is no room for it
            continue
    os._exit(code)
