"""`kitsune approve`: open the gate at which a rollout waits for a person."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

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
from kitsune.cli.recap import names_text
from kitsune.cli.verbs import agreed, reason_option, tell_answer, who, yes_option
from kitsune.cli.watch import say
from kitsune.errors import Conflict, KitsuneError, ServerUnavailable
from kitsune.models.orders import ApproveOrder, Gate
from kitsune.rollout.batches import split_into_batches
from kitsune.rollout.gates import gates_of

if TYPE_CHECKING:
    from kitsune.service.fleet import Fleet
    from kitsune.service.ordering import Answer

_GATES_NAMED = 8


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
    Approving a gate twice opens nothing else. Exit code 9 when no gate is open, or another one; the error names the
    gates that there are.
    """  # noqa: D301 - click's sign for "do not wrap"
    with fleet_session(connection) as session:
        chosen = gate or _open_gate(session, rollout_id).id
        if not gate and not yes and not agreed(f"Approve {chosen} of {rollout_id}?"):
            say("not approved")
            return Exit.OK
        order = ApproveOrder(gate=chosen, **who(reason))
        answer = session.run(_approved(session.fleet, rollout_id, order))
        tell_answer(answer, rollout_id=rollout_id, verb="approve", output=output)
    return Exit.OK


async def _approved(fleet: "Fleet", rollout_id: str, order: ApproveOrder) -> "Answer":
    """Approve a gate; a refusal says which gates there are, and so does a gate that was open already.

    Raises:
        Conflict: The gate is not open, or the rollout has stopped.
    """
    try:
        answer = await fleet.approve(rollout_id, order)
    except Conflict as refused:
        told = await _about_gates(fleet, rollout_id)
        raise Conflict("\n".join([str(refused), *told])) from refused
    if answer.text.startswith("already"):
        for line in await _about_gates(fleet, rollout_id):
            say(line)
    return answer


async def _about_gates(fleet: "Fleet", rollout_id: str) -> list[str]:
    """Return lines about the gates of a rollout that runs; nothing where it has ended or nobody answers."""
    with suppress(KitsuneError):  # it explains an answer that there is already
        look = await fleet.look(rollout_id)
        if look.progress is None:
            return []
        plan = await fleet.plan_of(rollout_id)
        strategy = plan.rollout_strategy
        gates = gates_of(split_into_batches(plan.servers, strategy), approval=strategy.approval)
        gate = look.progress.gate
        return gates_lines(rollout_id, gates, waiting=gate.id if gate else None)
    return []


def gates_lines(rollout_id: str, gates: Sequence[str], *, waiting: str | None) -> list[str]:
    """Return lines that name the gates of a rollout, and what to type next.

    Args:
        rollout_id: Its id.
        gates: All of them, in order.
        waiting: The one that waits for an approval now.
    """
    if not gates:
        return ["  its plan has no gates: nothing waits for an approval"]
    named = f"  gates: {names_text(gates, shown=_GATES_NAMED)}"
    if waiting is None:
        return [f"{named}; none waits now", f"  next: kitsune status {rollout_id}"]
    return [
        f"{named}; {waiting} waits now",
        f"  next: kitsune approve {rollout_id} --gate {waiting}",
    ]


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
        told = session.run(_about_gates(session.fleet, rollout_id))
        none = f"rollout {rollout_id!r} waits for no approval ({look.progress.phase})"
        raise Conflict("\n".join([none, *told]))
    gate = look.progress.gate
    end = f"; it stops at {stamp(gate.until)} without one" if gate.until else ""
    say(f"{rollout_id} waits for approval of {gate.id} since {stamp(gate.opened_at)}{end}")
    return gate
