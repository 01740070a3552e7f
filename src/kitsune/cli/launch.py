"""Starting a rollout from the command line and following it: what `run`, `retry` and `rollback` share."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kitsune.cli.connection_options import FleetSession
from kitsune.cli.console import print_json, print_line, stdout_console
from kitsune.cli.endings import exit_of
from kitsune.cli.exits import Exit
from kitsune.cli.watch import say, tell_end, watch_to_end
from kitsune.errors import ServerUnavailable

if TYPE_CHECKING:
    from kitsune.service.starting import Origin

_STARTED = {
    "started": "started {rollout_id}",
    "alreadyRunning": "{rollout_id} is already running with this plan; nothing is started",
    "alreadyFinished": "{rollout_id} has already run with this plan; nothing is started",
}


def launch(
    session: FleetSession,
    plan_wire: dict[str, Any],
    *,
    rollout_id: str,
    output: str,
    detach: bool,
    timeout: timedelta | None,
    plan_file: str | None = None,
    origin: "Origin | None" = None,
) -> Exit:
    """Start a rollout, follow it to its end and tell that; or only print its id, with `detach`."""
    try:
        from kitsune.service.connection import actor

        started = session.run(
            session.fleet.start(plan_wire, rollout_id=rollout_id, origin=origin, actor=actor())
        )
    except (KeyboardInterrupt, asyncio.CancelledError):
        say(f"interrupted while starting; whether it runs says: kitsune status {rollout_id}")
        return Exit.DETACHED
    except ServerUnavailable as error:
        raise ServerUnavailable(
            f"{error}; whether {rollout_id} was started says: kitsune status {rollout_id}"
        ) from error
    say(_STARTED[started.value].format(rollout_id=rollout_id))
    if detach:
        _tell_id(rollout_id, output=output)
        return Exit.OK
    ended = watch_to_end(session, rollout_id, output=output, timeout=timeout)
    if isinstance(ended, Exit):
        return ended
    tell_end(ended, rollout_id=rollout_id, output=output, plan_file=plan_file)
    return exit_of(ended)


def _tell_id(rollout_id: str, *, output: str) -> None:
    if output == "text":
        print_line(stdout_console(), rollout_id)
    else:
        print_json({"rolloutId": rollout_id}, indent=None)
