"""`kitsune watch`, and what `run` and `abort` share with it: follow to the end, recap, exit code.

stdout gets what was asked for: the recap, the result as JSON, or the events of `-o jsonl`.
stderr gets the talk meanwhile: the live view on a terminal, one line for each event off it.
"""

import asyncio
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from kitsune.cli.completing import rollouts
from kitsune.cli.connection_options import (
    FleetSession,
    connection_options,
    fleet_session,
    output_option,
    timeout_option,
)
from kitsune.cli.console import (
    glyphs,
    print_json,
    print_line,
    print_words,
    stderr_console,
    stdout_console,
)
from kitsune.cli.endings import exit_of, outcome_json
from kitsune.cli.events import Event
from kitsune.cli.exits import Exit
from kitsune.cli.follow import follow
from kitsune.cli.live_orders import orders_to
from kitsune.cli.recap import recap
from kitsune.cli.views import view_for

if TYPE_CHECKING:
    from kitsune.service.fleet import Fleet
    from kitsune.service.outcomes import Outcome


_ENDING = (signal.SIGTERM, signal.SIGQUIT)


@click.command()
@click.argument("rollout_id", metavar="ID", shell_complete=rollouts)
@timeout_option("Stop watching after so long, with exit code 124; the rollout goes on.")
@output_option("text", "json", "jsonl")
@connection_options
def watch(rollout_id: str, timeout: timedelta | None, output: str, connection: Any) -> Exit:
    """Follow a rollout until it ends; the exit code is the rollout's own.

    \b
    kitsune watch web-2-14-0-k3v7qa
    kitsune watch web-2-14-0-k3v7qa --timeout 30m -o json

    Ctrl-C detaches (exit 130): the rollout goes on.
    Watching survives a restart of Temporal.
    """  # noqa: D301 - click's sign for "do not wrap"
    with fleet_session(connection) as session:
        session.run(session.fleet.find(rollout_id))
        ended = watch_to_end(session, rollout_id, output=output, timeout=timeout)
        if isinstance(ended, Exit):
            return ended
        tell_end(ended, rollout_id=rollout_id, output=output)
        return exit_of(ended)


def watch_to_end(
    session: FleetSession, rollout_id: str, *, output: str, timeout: timedelta | None
) -> "Outcome | Exit":
    """Follow a rollout and return how it ended, or the exit code of a watch that ended before it."""
    try:
        return session.run(_watch(session.fleet, rollout_id, output=output, timeout=timeout))
    except TimeoutError:
        say(f"the rollout goes on; come back with: kitsune watch {rollout_id}")
        return Exit.WATCH_TIMEOUT
    except (KeyboardInterrupt, asyncio.CancelledError):
        say(f"detached; the rollout goes on. Come back with: kitsune watch {rollout_id}")
        return Exit.DETACHED


def tell_end(
    outcome: "Outcome", *, rollout_id: str, output: str, plan_file: str | None = None
) -> None:
    """Write the end of a rollout to stdout: a recap, its result, or the last event."""
    if output == "text":
        console = stdout_console()
        signs = glyphs(console)
        for line in recap(outcome, rollout_id=rollout_id, glyphs=signs, plan_file=plan_file):
            print_words(console, line)
        return
    result = outcome_json(outcome, rollout_id=rollout_id)
    if output == "jsonl":
        fields = {"result": result, "exitCode": exit_of(outcome).value}
        event = Event(datetime.now(UTC), "result", "", fields)
        print_json(event.as_json(rollout_id), indent=None)
    else:
        print_json(result)


def say(text: str) -> None:
    """Tell the person at the keyboard something, on stderr."""
    print_line(stderr_console(), text)


async def _watch(
    fleet: "Fleet", rollout_id: str, *, output: str, timeout: timedelta | None
) -> "Outcome":
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def detach() -> None:
        if task is not None:
            task.cancel()

    view = view_for(
        output, rollout_id=rollout_id, order=orders_to(fleet, rollout_id), detach=detach
    )
    # Without this, a plain `kill` would leave the terminal without its cursor.
    for number in _ENDING:
        loop.add_signal_handler(number, detach)
    try:
        async with asyncio.timeout(timeout.total_seconds() if timeout is not None else None):
            return await follow(fleet, rollout_id, view=view)
    finally:
        for number in _ENDING:
            loop.remove_signal_handler(number)
        view.close()
