"""`kitsune orchestration-worker` and `kitsune local-worker`."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kitsune.cli.ages import age_option, asked_retention
from kitsune.cli.connection_options import connection_options
from kitsune.cli.exits import Exit
from kitsune.cli.interrupts import leave_at_once
from kitsune.models.plan import check_server_id
from kitsune.names import ENV_METRICS_ADDRESS, ENV_SERVER_ID, ENV_WEBHOOKS

if TYPE_CHECKING:
    from temporalio.client import Client
    from temporalio.runtime import Runtime

    from kitsune.service.options import ConnectionOptions
    from kitsune.tracing.provider import Tracing
    from kitsune.workers.duplicates import Neighbour

#: Seconds that a worker may take to end; the SDK may wait for longer. What it has begun is in its journal.
_STOPPED_WITHIN = 60.0


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
        click.option(
            "--metrics-address",
            envvar=ENV_METRICS_ADDRESS,
            show_envvar=True,
            metavar="IP:PORT",
            help="Where Prometheus may read /metrics, as in 127.0.0.1:9464. Default: nowhere.",
        ),
    ):
        command = option(command)
    return connection_options(command)


@click.command("orchestration-worker")
@click.option(
    "--webhooks",
    envvar=ENV_WEBHOOKS,
    show_envvar=True,
    metavar="FILE",
    help="Who is told of rollouts: YAML or JSON. Default: nobody.",
)
@_worker_options
def orchestration_worker(
    *,
    connection: "ConnectionOptions",
    log_format: Any,
    ready_file: Path | None,
    metrics_address: str | None,
    webhooks: str | None,
) -> Exit:
    """Run the orchestration worker: it coordinates rollouts and touches no server.

    \b
    kitsune orchestration-worker --address temporal.example:7233

    Run one, or several for availability. It waits for Temporal, and ends on SIGTERM or Ctrl-C, at once on a second one.
    """  # noqa: D301 - click wants the character, not the letters
    from kitsune.handlers.registry import load_handlers
    from kitsune.service.rollout_figures import keep_rollout_figures
    from kitsune.webhooks.settings import load_receivers
    from kitsune.workers.logs import configure_logs
    from kitsune.workers.orchestration import make_orchestration_worker
    from kitsune.workers.supervision import keep_working
    from kitsune.workers.telemetry import make_runtime, measures_of

    receivers = load_receivers(webhooks, os.environ) if webhooks else {}
    configure_logs(log_format)
    runtime = make_runtime(metrics_address)
    measures = measures_of(runtime)
    registry = load_handlers()

    async def work(client: "Client", stop: asyncio.Event) -> Exit:
        beside = (
            [keep_rollout_figures(client, measures, webhooks=receivers)] if metrics_address else []
        )
        async with _beside(*beside):
            if receivers:
                logging.getLogger("kitsune.webhooks").info("telling %s", ", ".join(receivers))
            await keep_working(
                lambda: make_orchestration_worker(client, registry, receivers=receivers),
                client=client,
                stop=stop,
                doing="orchestrating",
                ready_file=ready_file,
                measures=measures,
            )
        return Exit.OK

    host = socket.gethostname()
    return asyncio.run(
        _until_stopped(
            connection,
            work,
            identity=f"kitsune-orchestrator@{host}",
            runtime=runtime,
            tracing=_begin_tracing("kitsune-orchestration-worker", instance=host),
        )
    )


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
    *,
    connection: "ConnectionOptions",
    server_id: str,
    undo_retention: timedelta | None,
    log_format: Any,
    ready_file: Path | None,
    metrics_address: str | None,
) -> Exit:
    """Run the local worker of a server: it runs the steps of plans there.

    \b
    SERVER_ID=web-1 kitsune local-worker
    kitsune local-worker --server-id web-1 --address temporal.example:7233

    Its journal, undo records and logs live in $KITSUNE_STATE_DIR, else /var/lib/kitsune/SERVER_ID for root,
    else under $XDG_STATE_HOME. It waits for Temporal, and ends on SIGTERM or Ctrl-C, at once on a second one.
    Where a live local worker on another host has the same id, the one that started later ends with exit code 9.
    """  # noqa: D301 - click wants the character, not the letters
    from kitsune.activities.agent import Agent
    from kitsune.activities.open_rollouts import find_open_rollouts
    from kitsune.activities.orphans import end_orphans
    from kitsune.agent.retention import keep_tidy
    from kitsune.agent.sole import hold_server_id
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
    from kitsune.workers.state_figures import keep_figures
    from kitsune.workers.supervision import keep_working
    from kitsune.workers.telemetry import make_runtime, measures_of

    try:
        check_server_id(server_id)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--server-id") from error
    retention = asked_retention(undo_retention)
    configure_logs(log_format)
    runtime = make_runtime(metrics_address)
    measures = measures_of(runtime)
    registry = load_handlers()
    with hold_state_folder(state_folder(server_id, os.environ)) as state:
        agent = Agent.at(
            state,
            server_id=server_id,
            registry=registry,
            instance=make_instance(host_key()),
            measures=measures,
        )

        async def serve(client: "Client", stop: asyncio.Event) -> "Neighbour | None":
            await agent.runner.end_leftovers(
                surviving={handler.type for handler in registry if handler.survives}
            )
            find_open = partial(find_open_rollouts, client)
            beside = [keep_tidy(state, retention, find_open), end_orphans(client, agent)]
            beside += [keep_figures(agent, measures)] if metrics_address else []
            async with _beside(*beside):
                return await serve_alone(
                    DuplicateWatch(client, server_id),
                    lambda: keep_working(
                        lambda: make_local_worker(client, agent),
                        client=client,
                        stop=stop,
                        doing=f"serving {server_id} (state in {state})",
                        ready_file=ready_file,
                        measures=measures,
                    ),
                    stop=stop,
                    give_way=agent.runner.keep_nothing,
                )

        async def work(client: "Client", stop: asyncio.Event) -> Exit:
            temporal = f"{client.service_client.config.target_host} ({client.namespace})"
            with hold_server_id(server_id, temporal=temporal):
                other = await serve(client, stop)
            await agent.journal.close()
            if other is None:
                return Exit.OK
            logging.getLogger("kitsune.worker").error("%s", refusal(server_id, other))
            return Exit.CONFLICT

        return asyncio.run(
            _until_stopped(
                connection,
                work,
                identity=f"{server_id}@{socket.gethostname()}#{agent.instance}",
                runtime=runtime,
                tracing=_begin_tracing("kitsune-local-worker", instance=server_id),
            )
        )


@contextlib.asynccontextmanager
async def _beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let coroutines run until the block ends."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until_stopped(
    connection: "ConnectionOptions",
    work: "Callable[[Client, asyncio.Event], Awaitable[Exit]]",
    *,
    identity: str,
    runtime: "Runtime",
    tracing: "Tracing | None",
) -> Exit:
    from kitsune.service.connection import connect_patiently

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    log = logging.getLogger("kitsune.worker")

    def leave(why: str) -> None:
        log.warning("%s: leaving as it is; the next worker takes over what runs", why)
        leave_at_once()

    def on_signal() -> None:
        if stop.is_set():
            leave("told a second time to stop")
        stop.set()
        loop.call_later(_STOPPED_WITHIN, leave, f"not stopped after {_STOPPED_WITHIN:.0f} s")

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    connecting = asyncio.create_task(
        connect_patiently(
            connection,
            log=log,
            identity=f"{os.getpid()}@{identity}",
            runtime=runtime,
            interceptors=tracing.interceptors if tracing else (),
        )
    )
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({connecting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        connecting.cancel()
        return Exit.OK
    stopping.cancel()
    try:
        return await work(connecting.result(), stop)
    finally:
        if tracing:
            await asyncio.to_thread(tracing.end)


def _begin_tracing(service: str, *, instance: str) -> "Tracing | None":
    """Send traces where the environment asks for them; say why not where it asks for what cannot be."""
    from kitsune.errors import BadSetting
    from kitsune.tracing.settings import traces_wanted

    try:
        if not traces_wanted(os.environ):
            return None
    except (
        BadSetting
    ) as error:  # the variables may be meant for other programs: no reason not to work
        logging.getLogger("kitsune.worker").warning("%s", error)
        return None
    from kitsune.tracing.provider import begin_tracing

    return begin_tracing(service, instance=instance)
