"""`kitsune dev`: a whole Kitsune on this machine, for trying things out and for developing plans."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kitsune.cli.console import print_line, stderr_console, stdout_console
from kitsune.cli.exits import Exit

if TYPE_CHECKING:
    from kitsune.embedded.local_fleet import LocalFleet

DEFAULT_PORT = 7233
_UI_ABOVE_PORT = 1000
_EXAMPLE_NAME = "hello.yaml"
_EXAMPLE = """\
# `kitsune dev` writes this file anew at each start: copy it before you change it.
name: hello
servers: [{servers}]
steps:
  - name: greet
    type: echo
    params: {{message: Hello from Kitsune}}
  - name: where am I
    type: script
    params: {{inline: 'echo "I am $KITSUNE_SERVER_ID"', rollbackCommand: 'true'}}
rolloutStrategy: {{type: Canary, canaryPercentage: 20, batchSize: 2}}
"""


@click.command()
@click.option(
    "--servers",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    help="How many local workers.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Port of Temporal; 0 takes any free one.",
)
@click.option(
    "--ui-port",
    type=click.IntRange(0, 65535),
    help="Port of Temporal UI; 0 takes any free one.  [default: --port + 1000 if free, else any]",
)
@click.option("--headless", is_flag=True, help="No Temporal UI.")
@click.option(
    "--dashboard-port",
    type=click.IntRange(0, 65535),
    help="Port of the dashboard; 0 takes any free one.  [default: 7280 if free, else any]",
)
@click.option("--no-dashboard", is_flag=True, help="No dashboard.")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that keeps everything for the next start.  [default: $XDG_STATE_HOME/kitsune/dev]",
)
@click.option("--ephemeral", is_flag=True, help="Keep nothing.")
def dev(
    *,
    servers: int,
    port: int,
    ui_port: int | None,
    headless: bool,
    dashboard_port: int | None,
    no_dashboard: bool,
    state: Path | None,
    ephemeral: bool,
) -> Exit:
    """Run Temporal, an orchestration worker, local workers and the dashboard on this machine.

    \b
    kitsune dev
    kitsune dev --servers 10 --ephemeral

    The local workers are server-1, server-2 and so on, each a process with a folder of its own.
    Ctrl-C ends everything, workers first; a second Ctrl-C ends it at once.
    """  # noqa: D301 - click's sign for "do not wrap"
    if ephemeral and state:
        raise click.UsageError("--ephemeral keeps nothing: leave out --state")
    if headless and ui_port is not None:
        raise click.UsageError("--headless starts no UI: leave out --ui-port")
    chosen_dashboard = _choose_dashboard_port(dashboard_port, wanted=not no_dashboard)
    from kitsune.cli.interrupts import Interrupts, run_interruptibly
    from kitsune.embedded.local_fleet import LocalFleet

    async def serve(interrupts: Interrupts) -> None:
        with _state_folder(state, ephemeral=ephemeral) as folder:
            fleet = LocalFleet(
                state=folder,
                servers=[f"server-{number}" for number in range(1, servers + 1)],
                port=port,
                ui_port=None if headless else _choose_ui_port(ui_port, port=port),
                dashboard_port=chosen_dashboard,
                in_memory=ephemeral,
                say=_talk,
            )
            interrupts.first = lambda: _talk(
                "ending everything, running steps get ten seconds (Ctrl-C again: at once)"
            )
            interrupts.further = fleet.kill
            _talk(f"starting Temporal, an orchestration worker and {_count(servers)}")
            async with fleet:
                _announce(fleet)
                await fleet.supervise()

    run_interruptibly(serve)
    return Exit.OK


@contextmanager
def _state_folder(state: Path | None, *, ephemeral: bool) -> Iterator[Path]:
    if ephemeral:
        from kitsune.cli.temporary_folder import temporary_folder

        with temporary_folder("dev") as folder:
            yield folder.path
    else:
        yield state or _default_state()


def _default_state() -> Path:
    written = Path(os.environ.get("XDG_STATE_HOME", ""))
    base = written if written.is_absolute() else Path.home() / ".local" / "state"
    return base / "kitsune" / "dev"


def _choose_ui_port(wanted: int | None, *, port: int) -> int:
    from kitsune.embedded.ports import HIGHEST_PORT, why_unusable

    if wanted is not None:
        return wanted
    usual = port + _UI_ABOVE_PORT
    return usual if port and usual <= HIGHEST_PORT and not why_unusable(usual) else 0


def _choose_dashboard_port(port: int | None, *, wanted: bool) -> int | None:
    from kitsune.cli.dashboard import EXTRA, is_installed
    from kitsune.dashboard.settings import DEFAULT_PORT as USUAL
    from kitsune.embedded.ports import why_unusable

    if not wanted:
        if port is not None:
            raise click.UsageError("--no-dashboard starts none: leave out --dashboard-port")
        return None
    if not is_installed():
        if port is not None:
            raise click.UsageError(f"the dashboard is not installed here: {EXTRA}")
        return None
    if port is not None:
        return port
    return USUAL if not why_unusable(USUAL) else 0


def _talk(news: str) -> None:
    console = stderr_console()
    for line in news.splitlines():
        print_line(console, line)


def _count(servers: int) -> str:
    return "1 local worker" if servers == 1 else f"{servers} local workers"


def _announce(fleet: "LocalFleet") -> None:
    """Print what runs where, and what to type next."""
    out = stdout_console()
    facts = {
        "dashboard": fleet.dashboard_url or _no_dashboard(),
        "Temporal": fleet.address,
        "Temporal UI": fleet.temporal.ui_url or "none (--headless)",
        "servers": ", ".join(fleet.servers),
        "state": str(fleet.state),
        "logs": str(fleet.logs),
    }
    print_line(out, "Kitsune is ready; Ctrl-C ends it.", style="bold")
    print_line(out)
    for name, fact in facts.items():
        print_line(out, f"  {name:<12} {fact}")
    print_line(out)
    print_line(out, "Type next, in another terminal:")
    print_line(out)
    for command in _next_commands(fleet):
        print_line(out, f"  {command}", style="cyan")
    out.file.flush()


def _no_dashboard() -> str:
    from kitsune.cli.dashboard import EXTRA, is_installed

    return "none (--no-dashboard)" if is_installed() else f"none ({EXTRA})"


def _next_commands(fleet: "LocalFleet") -> Iterator[str]:
    if not _is_found_by_default(fleet.temporal.port):
        yield f"export TEMPORAL_ADDRESS={fleet.address}"
    yield f"kitsune run {shlex.quote(str(_write_example(fleet)))}"
    yield "kitsune list"


def _is_found_by_default(port: int) -> bool:
    """Whether a command of this user reaches the port without being told where it is."""
    from kitsune.errors import ServerUnavailable
    from kitsune.service.connection import find_target
    from kitsune.service.options import ConnectionOptions

    try:
        found = find_target(ConnectionOptions()).address
    except ServerUnavailable:
        return False
    return found in (f"localhost:{port}", f"127.0.0.1:{port}")


def _write_example(fleet: "LocalFleet") -> Path:
    from kitsune.embedded.folder_lock import folder_errors

    path = fleet.state / _EXAMPLE_NAME
    with folder_errors(fleet.state):
        path.write_text(_EXAMPLE.format(servers=", ".join(fleet.servers)))
    return path
