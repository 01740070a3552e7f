"""`kitsune approve`: open the gate at which a rollout waits for a person."""

from typing import Any

import click

from kitsune.cli.completing import open_rollouts
from kitsune.cli.connection_options import (
    FleetSession,
    connection_options,
    fleet_session,
    output_option,
)
from kitsune.cli.events import stamp
from kitsune.cli.exits import Exit
from kitsune.cli.verbs import agreed, reason_option, tell_answer, who, yes_option
from kitsune.cli.watch import say
from kitsune.errors import Conflict, ServerUnavailable
from kitsune.models.orders import ApproveOrder, Gate


@click.command()
@click.argument("rollout_id", metavar="ID", shell_complete=open_rollouts)
@click.option("--gate", metavar="NAME", help="As in canary or batch-2. Default: the open one.")
@reason_option
@yes_option
@output_option("text", "json")
@connection_options
def approve(
    *, rollout_id: str, gate: str | None, reason: str, yes: bool, output: str, connection: Any
) -> Exit:
    """Open one gate, by its name, so that the next batch may start.

    \b
    kitsune approve web-2-14-0-k3v7qa
    kitsune approve web-2-14-0-k3v7qa --gate batch-2 --reason "graphs look good"

    Without --gate the open gate is shown, and that one is approved.
    Approving a gate twice opens nothing else. Exit code 9 when no gate is open, or another one.
    """  # noqa: D301 - click's sign for "do not wrap"
    with fleet_session(connection) as session:
        chosen = gate or _open_gate(session, rollout_id).id
        if not gate and not yes and not agreed(f"Approve {chosen} of {rollout_id}?"):
            say("not approved")
            return Exit.OK
        order = ApproveOrder(gate=chosen, **who(reason))
        answer = session.run(session.fleet.approve(rollout_id, order))
        tell_answer(answer, rollout_id=rollout_id, verb="approve", output=output)
    return Exit.OK


def _open_gate(session: FleetSession, rollout_id: str) -> Gate:
    look = session.run(session.fleet.look(rollout_id))
    if not look.open:
        row = session.run(session.fleet.find(rollout_id))
        raise Conflict(f"rollout {rollout_id!r} has already ended ({row.state})")
    if look.progress is None:
        raise ServerUnavailable(
            "no orchestration worker answers, so nobody knows which gate is open: "
            "start one with `kitsune orchestration-worker`, or name the gate with --gate"
        )
    if look.progress.gate is None:
        raise Conflict(f"rollout {rollout_id!r} waits for no approval ({look.progress.phase})")
    gate = look.progress.gate
    end = f"; it stops at {stamp(gate.until)} without one" if gate.until else ""
    say(f"{rollout_id} waits for approval of {gate.id} since {stamp(gate.opened_at)}{end}")
    return gate
