"""`kitsune retry`: run a held server's step again, or an ended rollout's plan on the servers that are left."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from kitsune.cli.completing import rollouts
from kitsune.cli.connection_options import (
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
from kitsune.models.results import ServerStatus

if TYPE_CHECKING:
    from kitsune.service.again import Again

_RETRIED = "failed,unreachable,unknown,notStarted,cancelled"


def _statuses(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in value.split(",") if word.strip())
    strange = [word for word in words if word not in set(ServerStatus)]
    if strange or not words:
        known = ", ".join(status.value for status in ServerStatus)
        raise click.BadParameter(f"not a status: {', '.join(strange)!r} (write some of {known})")
    return words


@click.command()
@click.argument("rollout_id", metavar="ID", shell_complete=rollouts)
@servers_option("Only this server; may be given several times.")
@click.option(
    "--only",
    metavar="STATUS,...",
    default=_RETRIED,
    show_default=True,
    callback=_statuses,
    help="Servers that ended like that.",
)
@click.option(
    "--from-step",
    type=click.Choice(["failed"]),
    help="Begin at the step that failed; servers that were rolled back begin at the first.",
)
@click.option("--id", "new_id", metavar="ID", help="Id of the new rollout. Default: ID-retry-1, …")
@reason_option
@click.option("-d", "--detach", is_flag=True, help="Start, print the id, and do not watch.")
@yes_option
@timeout_option("Stop watching after so long, with exit code 124; the rollout goes on.")
@output_option("text", "json", "jsonl")
@connection_options
def retry(
    *,
    rollout_id: str,
    servers: tuple[str, ...],
    only: tuple[str, ...],
    from_step: str | None,
    new_id: str | None,
    reason: str,
    detach: bool,
    yes: bool,
    timeout: timedelta | None,
    output: str,
    connection: Any,
) -> Exit:
    """Try again: the failed step of a held server, or an ended rollout on the servers that are left.

    \b
    kitsune retry web-2-14-0-k3v7qa --server web-3
    kitsune retry web-2-14-0-k3v7qa --only unreachable
    kitsune retry web-2-14-0-k3v7qa --from-step failed --yes

    While the rollout runs, --server names a held server: its failed step runs once more, and then the rest.
    After its end, its plan runs again as a new rollout on the servers that did not succeed, watched like `kitsune run`.
    Exit code 9 when there is nothing to retry.
    """  # noqa: D301 - click's sign for "do not wrap"
    with fleet_session(connection) as session:
        if session.run(session.fleet.find(rollout_id)).open:
            if not servers:
                raise Conflict(
                    f"rollout {rollout_id!r} is still running: name a held server with --server, "
                    f"`kitsune status {rollout_id}` shows them"
                )
            decide(session, "retry", rollout_id, servers, reason=reason, output=output)
            return Exit.OK
        from kitsune.service.following import prepare_retry

        found = session.run(
            prepare_retry(
                session.fleet,
                rollout_id,
                servers=servers,
                only=only,
                from_failed=from_step is not None,
            )
        )
        again = found.again
        for remark in again.remarks:
            say(remark)
        if not again.servers:
            raise Conflict(
                f"nothing to retry: no {'such ' if servers else ''}server of {rollout_id!r} is "
                f"{' or '.join(only)}"
            )
        count = f"{len(again.servers)} server{'' if len(again.servers) == 1 else 's'}"
        say(f"retry of {rollout_id} on {count}: {names_text(again.servers, shown=8)}")
        _preview(again)
        if not yes and not agreed(f"Run it on {count}?"):
            say("not started")
            return Exit.REFUSED
        return launch(
            session,
            again.plan,
            rollout_id=_checked(new_id) if new_id else found.rollout_id,
            output=output,
            detach=detach,
            timeout=timeout,
            origin=found.origin(**who(reason)),
        )


def _preview(again: "Again") -> None:
    from kitsune.cli.run import tell_plan
    from kitsune.handlers.facts import step_facts
    from kitsune.handlers.registry import load_handlers
    from kitsune.handlers.validation import check_plan
    from kitsune.rollout.preview import preview_plan

    registry = load_handlers()
    checked = check_plan(again.plan, registry)
    if checked.plan is None:
        return  # the rollout itself refuses it, with every reason
    facts = step_facts(checked.plan, registry)
    tell_plan(
        preview_plan(
            checked.plan,
            facts=facts,
            warnings=checked.warnings,
            unknown_types=checked.unknown_types,
        )
    )


def _checked(new_id: str) -> str:
    from kitsune.service.starting import check_rollout_id

    try:
        return check_rollout_id(new_id)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--id") from error
