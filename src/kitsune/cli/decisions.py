"""`kitsune skip` and `kitsune set`; and the orders about a held server that `retry` and `rollback` give as well."""

from collections.abc import Sequence
from typing import Any

import click

from kitsune.cli.completing import open_rollouts
from kitsune.cli.connection_options import (
    FleetSession,
    connection_options,
    fleet_session,
    output_option,
)
from kitsune.cli.exits import Exit
from kitsune.cli.verbs import reason_option, servers_option, tell_answer, who
from kitsune.models.orders import ServerOrder, SetOrder
from kitsune.models.sizes import Size, check_limit


@click.command()
@click.argument("rollout_id", metavar="ID", shell_complete=open_rollouts)
@servers_option("A held server; may be given several times.")
@reason_option
@output_option("text", "json")
@connection_options
def skip(
    *, rollout_id: str, servers: tuple[str, ...], reason: str, output: str, connection: Any
) -> Exit:
    """End a held server as failed and leave it as it is: nothing more runs there, nothing is undone.

    \b
    kitsune skip web-2-14-0-k3v7qa --server web-3

    A server is held when a step fails and the plan says `onFailure: ask`.
    `kitsune retry` and `kitsune rollback` are the other two answers. Exit code 9 when the server is not held.
    """  # noqa: D301 - click's sign for "do not wrap"
    if not servers:
        raise click.UsageError("which server? write --server S")
    with fleet_session(connection) as session:
        decide(session, "skip", rollout_id, servers, reason=reason, output=output)
    return Exit.OK


def decide(
    session: FleetSession,
    verb: str,
    rollout_id: str,
    servers: Sequence[str],
    *,
    reason: str,
    output: str,
) -> None:
    """Say what becomes of held servers, one after the other.

    Raises:
        Conflict: One of them is not held.
    """
    fleet = session.fleet
    give = {
        "retry": fleet.retry_server,
        "skip": fleet.skip_server,
        "rollback": fleet.rollback_server,
    }[verb]
    for server in servers:
        answer = session.run(give(rollout_id, ServerOrder(server_id=server, **who(reason))))
        tell_answer(answer, rollout_id=rollout_id, verb=verb, output=output, server=server)


def _limit(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Size | None:
    if value is None:
        return None
    try:
        return check_limit(int(value) if value.lstrip("-").isdecimal() else value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command("set")
@click.argument("rollout_id", metavar="ID", shell_complete=open_rollouts)
@click.option(
    "--max-failures",
    metavar="N|N%",
    callback=_limit,
    help="Failed servers that are tolerated from now on; -1: no limit.",
)
@click.option(
    "--max-concurrency",
    metavar="N",
    type=click.IntRange(min=1),
    help="Servers at once within a batch from now on.",
)
@reason_option
@output_option("text", "json")
@connection_options
def set_limits(
    *,
    rollout_id: str,
    max_failures: Size | None,
    max_concurrency: int | None,
    reason: str,
    output: str,
    connection: Any,
) -> Exit:
    """Change the limits of a rollout while it runs; what is left out stays as it is.

    \b
    kitsune set web-2-14-0-k3v7qa --max-failures 5%
    kitsune set web-2-14-0-k3v7qa --max-concurrency 2 --reason "database is slow"

    Servers that run are never stopped by a smaller --max-concurrency; a smaller --max-failures can stop the rollout.
    """  # noqa: D301 - click's sign for "do not wrap"
    if max_failures is None and max_concurrency is None:
        raise click.UsageError("nothing to set: write --max-failures, --max-concurrency or both")
    order = SetOrder(max_failures=max_failures, max_concurrency=max_concurrency, **who(reason))
    with fleet_session(connection) as session:
        answer = session.run(session.fleet.set_limits(rollout_id, order))
        tell_answer(answer, rollout_id=rollout_id, verb="set", output=output)
    return Exit.OK
