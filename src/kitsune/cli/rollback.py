"""`kitsune rollback`: undo a held server, or a rollout that has ended."""

from datetime import timedelta
from typing import Any

import click

from kitsune.cli.completing import rollouts
from kitsune.cli.connection_options import (
    FleetSession,
    connection_options,
    fleet_session,
    output_option,
    timeout_option,
)
from kitsune.cli.decisions import decide
from kitsune.cli.exits import Exit
from kitsune.cli.launch import launch
from kitsune.cli.recap import names_text
from kitsune.cli.verbs import agreed, reason_option, servers_option, who, yes_option
from kitsune.cli.watch import say
from kitsune.errors import Conflict


@click.command()
@click.argument("rollout_id", metavar="ID", shell_complete=rollouts)
@servers_option("Only this server; may be given several times.")
@click.option("--retry", is_flag=True, help="Only servers whose rollback failed or is pending.")
@click.option("--force", is_flag=True, help="Overwrite what somebody has changed since.")
@reason_option
@click.option("-d", "--detach", is_flag=True, help="Start, print the id, and do not watch.")
@yes_option
@timeout_option("Stop watching after so long, with exit code 124; the rollback goes on.")
@output_option("text", "json", "jsonl")
@connection_options
def rollback(
    *,
    rollout_id: str,
    servers: tuple[str, ...],
    retry: bool,
    force: bool,
    reason: str,
    detach: bool,
    yes: bool,
    timeout: timedelta | None,
    output: str,
    connection: Any,
) -> Exit:
    """Undo a rollout that has ended, from what each server kept; newest servers first.

    \b
    kitsune rollback web-2-14-0-k3v7qa
    kitsune rollback web-2-14-0-k3v7qa --server web-3 --retry

    It runs as a rollout of its own, ID-rollback-1, on all servers where something began, watched like `kitsune run`.
    Servers that are already rolled back are left out. A file that somebody changed since is left alone, without --force.
    While the rollout runs, --server names a held server, which is then undone and ends failed.
    """  # noqa: D301 - click's sign for "do not wrap"
    with fleet_session(connection) as session:
        if session.run(session.fleet.find(rollout_id)).open:
            _decide(session, rollout_id, servers, reason=reason, output=output)
            return Exit.OK
        from kitsune.service.following import prepare_rollback

        found = session.run(
            prepare_rollback(session.fleet, rollout_id, servers=servers, retry=retry, force=force)
        )
        again, first = found.again, found.first
        for remark in again.remarks:
            say(remark)
        if not again.servers:
            say(f"nothing to roll back of {first.rollout_id}")
            return Exit.OK
        count = f"{len(again.servers)} server{'' if len(again.servers) == 1 else 's'}"
        named = names_text(again.servers, shown=8)
        say(f"undo {first.rollout_id} ({first.plan.name}) on {count}: {named}")
        if not yes and not agreed(f"Roll back {count}?"):
            say("not started")
            return Exit.REFUSED
        return launch(
            session,
            again.plan,
            rollout_id=found.rollout_id,
            output=output,
            detach=detach,
            timeout=timeout,
            origin=found.origin(**who(reason)),
        )


def _decide(
    session: FleetSession, rollout_id: str, servers: tuple[str, ...], *, reason: str, output: str
) -> None:
    if not servers:
        raise Conflict(
            f"rollout {rollout_id!r} is still running: name a held server with --server, "
            f"or end it with `kitsune abort {rollout_id} --rollback`"
        )
    decide(session, "rollback", rollout_id, servers, reason=reason, output=output)
