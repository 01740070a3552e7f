"""`kitsune pause` and `kitsune resume`: hold a rollout, and let it go on."""

from typing import Any

import click

from kitsune.cli.completing import open_rollouts
from kitsune.cli.connection_options import connection_options, fleet_session, output_option
from kitsune.cli.exits import Exit
from kitsune.cli.verbs import reason_option, tell_answer, who
from kitsune.models.orders import PauseOrder, ResumeOrder


@click.command()
@click.argument("rollout_id", metavar="ID", shell_complete=open_rollouts)
@click.option(
    "--drain", is_flag=True, help="Let servers in flight finish; only no other one starts."
)
@reason_option
@output_option("text", "json")
@connection_options
def pause(*, rollout_id: str, drain: bool, reason: str, output: str, connection: Any) -> Exit:
    """Start nothing more until somebody resumes it; servers in flight hold before their next step.

    \b
    kitsune pause web-2-14-0-k3v7qa --reason "error rate is up"
    kitsune pause web-2-14-0-k3v7qa --drain

    A step that runs is not interrupted, and no timeout of the rollout passes while it is paused.
    A pause outlives every process. Pausing twice changes nothing. Exit code 9 when the rollout has ended.
    """  # noqa: D301 - click's sign for "do not wrap"
    with fleet_session(connection) as session:
        order = PauseOrder(drain=drain, **who(reason))
        answer = session.run(session.fleet.pause(rollout_id, order))
        tell_answer(answer, rollout_id=rollout_id, verb="pause", output=output)
    return Exit.OK


@click.command()
@click.argument("rollout_id", metavar="ID", shell_complete=open_rollouts)
@reason_option
@output_option("text", "json")
@connection_options
def resume(*, rollout_id: str, reason: str, output: str, connection: Any) -> Exit:
    """Let a paused rollout go on where it was. One that is not paused is left alone.

    \b
    kitsune resume web-2-14-0-k3v7qa
    """  # noqa: D301 - click's sign for "do not wrap"
    with fleet_session(connection) as session:
        answer = session.run(session.fleet.resume(rollout_id, ResumeOrder(**who(reason))))
        tell_answer(answer, rollout_id=rollout_id, verb="resume", output=output)
    return Exit.OK
