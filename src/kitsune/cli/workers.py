"""`kitsune orchestration-worker` and `kitsune local-worker`."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kitsune.cli.ages import age_option, asked_retention
from kitsune.cli.connection_options import connection_options
from kitsune.cli.exits import Exit
from kitsune.models.plan import check_server_id
from kitsune.names import ENV_SERVER_ID

if TYPE_CHECKING:
    from temporalio.client import Client

    from kitsune.service.connection import ConnectionOptions


def _worker_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--log-format",
            type=click.Choice(["text", "json"]),
            default="text",
            show_default=True,
            help="Lines for people, or one JSON object a line.",
        ),
        click.option(
            "--ready-file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="A file that exists while the worker runs and Temporal answers.",
        ),
    ):
        command = option(command)
    return connection_options(command)


@click.command("orchestration-worker")
@_worker_options
def orchestration_worker(
    connection: "ConnectionOptions", log_format: Any, ready_file: Path | None
) -> Exit:
    """Run the orchestration worker: it coordinates rollouts and touches no server.

    \b
    kitsune orchestration-worker --address temporal.example:7233

    Run one, or several for availability. It waits for Temporal, and ends on SIGTERM or Ctrl-C.
    """  # noqa: D301 - click wants the character, not the letters
    from kitsune.handlers.registry import load_handlers
    from kitsune.workers.logs import configure_logs
    from kitsune.workers.orchestration import make_orchestration_worker
    from kitsune.workers.supervision import keep_working

    configure_logs(log_format)
    registry = load_handlers()

    async def work(client: "Client", stop: asyncio.Event) -> Exit:
        await keep_working(
            lambda: make_orchestration_worker(client, registry),
            client=client,
            stop=stop,
            doing="orchestrating",
            ready_file=ready_file,
        )
        return Exit.OK

    return _run_worker(connection, work, identity=f"kitsune-orchestrator@{socket.gethostname()}")


@click.command("local-worker")
@click.option(
    "--server-id",
    envvar=ENV_SERVER_ID,
    show_envvar=True,
    required=True,
    help="The server's id in plans: letters, digits, '.', '_', '-', at most 200.",
)
@click.option(
    "--undo-retention",
    metavar="AGE",
    callback=age_option,
    help="How long journal, undo records and output stay after an operation has ended; or KITSUNE_UNDO_RETENTION. Default: 30d.",
)
@_worker_options
def local_worker(
    connection: "ConnectionOptions",
    server_id: str,
    undo_retention: timedelta | None,
    log_format: Any,
    ready_file: Path | None,
) -> Exit:
    """Run the local worker of a server: it runs the steps of plans there.

    \b
    SERVER_ID=web-1 kitsune local-worker
    kitsune local-worker --server-id web-1 --address temporal.example:7233

    Its journal, undo records and logs live in $KITSUNE_STATE_DIR, else /var/lib/kitsune/SERVER_ID for root,
    else under $XDG_STATE_HOME. It waits for Temporal, and ends on SIGTERM or Ctrl-C.
    Where a live local worker on another host has the same id, the one that started later ends with exit code 9.
    """  # noqa: D301 - click wants the character, not the letters
    from kitsune.activities.open_rollouts import find_open_rollouts
    from kitsune.activities.orphans import end_orphans
    from kitsune.activities.server import Agent
    from kitsune.agent.retention import keep_tidy
    from kitsune.agent.state import hold_state_folder, state_folder
    from kitsune.handlers.registry import load_handlers
    from kitsune.workers.duplicates import (
        DuplicateWatch,
        host_key,
        make_instance,
        refusal,
        serve_alone,
    )
    from kitsune.workers.local import make_local_worker
    from kitsune.workers.logs import configure_logs
    from kitsune.workers.supervision import keep_working

    try:
        check_server_id(server_id)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--server-id") from error
    retention = asked_retention(undo_retention)
    configure_logs(log_format)
    registry = load_handlers()
    with hold_state_folder(state_folder(server_id, os.environ)) as state:
        agent = Agent.at(
            state, server_id=server_id, registry=registry, instance=make_instance(host_key())
        )

        async def work(client: "Client", stop: asyncio.Event) -> Exit:
            async def serve() -> None:
                await keep_working(
                    lambda: make_local_worker(client, agent),
                    client=client,
                    stop=stop,
                    doing=f"serving {server_id} (state in {state})",
                    ready_file=ready_file,
                )

            await agent.runner.end_leftovers(
                surviving={handler.type for handler in registry if handler.survives}
            )
            find_open = partial(find_open_rollouts, client)
            beside = {
                asyncio.create_task(keep_tidy(state, retention, find_open)),
                asyncio.create_task(end_orphans(client, agent)),
            }
            other = await serve_alone(
                DuplicateWatch(client, server_id),
                serve,
                stop=stop,
                give_way=agent.runner.keep_nothing,
            )
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)
            await agent.journal.close()
            if other is None:
                return Exit.OK
            logging.getLogger("kitsune.worker").error("%s", refusal(server_id, other))
            return Exit.CONFLICT

        return _run_worker(
            connection,
            work,
            identity=f"{server_id}@{socket.gethostname()}#{agent.instance}",
        )


def _run_worker(
    connection: "ConnectionOptions",
    work: "Callable[[Client, asyncio.Event], Awaitable[Exit]]",
    *,
    identity: str,
) -> Exit:
    return asyncio.run(_until_stopped(connection, work, identity=identity))


async def _until_stopped(
    connection: "ConnectionOptions",
    work: "Callable[[Client, asyncio.Event], Awaitable[Exit]]",
    *,
    identity: str,
) -> Exit:
    from kitsune.service.connection import connect_patiently
    from kitsune.workers.telemetry import make_runtime

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    connecting = asyncio.create_task(
        connect_patiently(
            connection,
            log=logging.getLogger("kitsune.worker"),
            identity=f"{os.getpid()}@{identity}",
            runtime=make_runtime(),
        )
    )
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({connecting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        connecting.cancel()
        return Exit.OK
    stopping.cancel()
    return await work(connecting.result(), stop)
