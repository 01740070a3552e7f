"""`kitsune abort`: ask a rollout to end now, wait for it, and say what was cancelled and what was undone."""

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from kitsune.cli.completing import open_rollouts
from kitsune.cli.connection_options import (
    FleetSession,
    connection_options,
    fleet_session,
    output_option,
    timeout_option,
)
from kitsune.cli.endings import exit_of
from kitsune.cli.exits import Exit
from kitsune.cli.verbs import say_how_it_arrived
from kitsune.cli.watch import say, tell_end, watch_to_end
from kitsune.models.requests import AbortRequest
from kitsune.models.results import RolloutStatus

if TYPE_CHECKING:
    from kitsune.service.outcomes import Outcome


@click.command()
@click.argument("rollout_id", metavar="ID", shell_complete=open_rollouts)
@click.option("--rollback", is_flag=True, help="Undo what the rollout did, on every server.")
@click.option("--reason", metavar="TEXT", default="", help="Recorded with the abort.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask. Off a terminal nobody is asked.")
@timeout_option("Stop waiting after so long, with exit code 124; the abort goes on.")
@output_option("text", "json", "jsonl")
@connection_options
def abort(
    *,
    rollout_id: str,
    rollback: bool,
    reason: str,
    yes: bool,
    timeout: timedelta | None,
    output: str,
    connection: Any,
) -> Exit:
    """Start nothing more, cancel what runs, and wait until the rollout has ended.

    \b
    kitsune abort web-2-14-0-k3v7qa --reason "wrong release"
    kitsune abort web-2-14-0-k3v7qa --rollback

    \b
    Exit codes of this command:
      0  aborted, and all that should be undone is undone
      6  a rollback failed: needs a person
      9  the rollout had already ended
    A rollout that comes to its own end first gives its own exit code.
    """  # noqa: D301 - click's sign for "do not wrap"
    with fleet_session(connection) as session:
        row = session.run(session.fleet.find(rollout_id))
        if row.open and not yes and not _agreed(rollout_id, rollback=rollback):
            say("not aborted")
            return Exit.OK
        _ask(session, rollout_id, rollback=rollback, reason=reason)
        ended = watch_to_end(session, rollout_id, output=output, timeout=timeout)
        if isinstance(ended, Exit):
            return ended
        tell_end(ended, rollout_id=rollout_id, output=output)
        return _exit_of_abort(ended)


def _agreed(rollout_id: str, *, rollback: bool) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    undo = (
        " and undo what it did" if rollback else ", leaving servers as they are (--rollback undoes)"
    )
    return click.confirm(f"Abort {rollout_id}{undo}?", err=True)


def _ask(session: FleetSession, rollout_id: str, *, rollback: bool, reason: str) -> None:
    from kitsune.service.connection import actor

    request = AbortRequest(actor=actor(), reason=reason, rollback=rollback)
    accepted = session.run(session.fleet.abort(rollout_id, request))
    say_how_it_arrived(accepted, rollout_id=rollout_id, verb="abort")


def _exit_of_abort(outcome: "Outcome") -> Exit:
    """Return success where the rollout ended because of the abort, with nothing left for a person."""
    from kitsune.service.outcomes import Finished

    own = exit_of(outcome)
    aborted = isinstance(outcome, Finished) and outcome.result.status is RolloutStatus.ABORTED
    return Exit.OK if aborted and own is not Exit.NEEDS_PERSON else own
