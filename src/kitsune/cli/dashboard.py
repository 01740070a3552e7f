"""`kitsune dashboard`: serve pages and the JSON API; and make entries of its users file."""

import importlib.util
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from kitsune.cli.connection_options import connection_options
from kitsune.cli.console import print_line, stderr_console, stdout_console
from kitsune.cli.exits import Exit
from kitsune.dashboard.settings import DashboardSettings
from kitsune.errors import DashboardRefused
from kitsune.names import ENV_DASHBOARD_PREFIX

EXTRA = "pip install 'kitsune-orchestrator[dashboard]'"
#: What the extra brings; one that was added later lacks where only Kitsune itself was upgraded.
_NEEDED = ("argon2", "jinja2", "prometheus_client", "python_multipart", "starlette", "uvicorn")
#: Settings that may be given several times -> their options.
_SEVERAL = {
    "allowed_hosts": "--allowed-host",
    "trusted_proxies": "--trusted-proxy",
    "operators": "--operator",
    "approvers": "--approver",
}


def is_installed() -> bool:
    """Return whether what the dashboard needs beyond the core is there."""
    return all(importlib.util.find_spec(name) for name in _NEEDED)


def _setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option and a variable for every setting; the default stays the model's own."""
    for name, field in reversed(DashboardSettings.model_fields.items()):
        several = name in _SEVERAL
        default = field.get_default()
        shown = "" if default is None or default == () else f"  [default: {default}]"
        command = click.option(
            _SEVERAL.get(name, f"--{name.replace('_', '-')}"),
            name,
            envvar=f"{ENV_DASHBOARD_PREFIX}{name.upper()}",
            multiple=several,
            metavar=name.rsplit("_", 1)[-1].upper(),
            help=f"{field.description}{shown}",
        )(command)
    return command


@click.group(invoke_without_command=True)
@_setting_options
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar=f"{ENV_DASHBOARD_PREFIX}CONFIG",
    help="TOML file with settings, named as the options are: tls_certificate = ...",
)
@click.option("--open", "open_browser", is_flag=True, help="Open it in a browser.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Lines for people, or one JSON object a line.",
)
@connection_options
@click.pass_context
def dashboard(
    ctx: click.Context,
    /,
    *,
    config: Path | None,
    open_browser: bool,
    log_format: Any,
    connection: Any,
    **given: Any,
) -> Exit | None:
    """Serve pages and a JSON API for looking at rollouts and steering them.

    \b
    kitsune dashboard --open
    kitsune dashboard --host 0.0.0.0 --tls-certificate cert.pem --tls-key key.pem \\
        --public-url https://kitsune.example.org:7280 --authentication local --users-file users.toml

    Without options it listens on this machine only, and whoever sits here may do everything.
    To be reached from other machines it needs TLS, and to know who is asking.
    Every option can be set by a variable, KITSUNE_DASHBOARD_HOST for --host, or in the file of --config.
    """  # noqa: D301 - click's sign for "do not wrap"
    if ctx.invoked_subcommand:
        return None
    settings = read_settings(given, config=config)
    if not is_installed():
        raise DashboardRefused(f"the dashboard is not installed here: {EXTRA}")
    from kitsune.dashboard.settings import check_settings
    from kitsune.workers.logs import configure_logs

    check_settings(settings)
    configure_logs(log_format)
    _serve(settings, connection, open_browser=open_browser)
    return Exit.OK


def read_settings(given: dict[str, Any], *, config: Path | None) -> DashboardSettings:
    """Return the settings: options and variables over the file, and the file over the defaults.

    Raises:
        DashboardRefused: The file cannot be read, or a setting is not what it should be.
    """
    said = {key: value for key, value in given.items() if value not in (None, ())}
    try:
        written = tomllib.loads(config.read_text()) if config else {}
        return DashboardSettings.model_validate(written | said)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DashboardRefused(f"cannot read {str(config)!r}: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg'].lower()}" for each in error.errors()
        )
        raise DashboardRefused(f"not a setting of the dashboard: {wrong}") from error


def _serve(settings: DashboardSettings, connection: Any, *, open_browser: bool) -> None:
    from kitsune.cli.interrupts import Interrupts, leave_at_once, run_interruptibly
    from kitsune.dashboard.app import create_app
    from kitsune.dashboard.serving import listen, serve, url_of
    from kitsune.service.connection import connect_lazily
    from kitsune.service.fleet import Fleet

    async def main(interrupts: Interrupts) -> None:
        interrupts.further = leave_at_once
        fleet = Fleet(await connect_lazily(connection))
        app = create_app(settings, fleet)
        with listen(settings) as listener:
            url = url_of(settings, listener)
            await serve(
                app, settings, listener, ready=lambda: _announce(url, open_browser=open_browser)
            )

    run_interruptibly(main)


def _announce(url: str, *, open_browser: bool) -> None:
    out = stdout_console()
    print_line(out, f"Kitsune's dashboard is at {url} (Ctrl-C ends it)")
    out.file.flush()
    if open_browser:
        import webbrowser

        if not webbrowser.open(url):
            print_line(stderr_console(), f"no browser found here: open {url}")


@dashboard.command("user")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["viewer", "operator", "approver"]),
    default="viewer",
    show_default=True,
    help="What the user may do; each includes the ones before it.",
)
def user(name: str, role: str) -> Exit:
    """Ask for a password and print an entry of the users file.

    \b
    touch users.toml && chmod 600 users.toml
    kitsune dashboard user anna --role approver >> users.toml

    Off a terminal, the password is the first line of standard input.
    """  # noqa: D301 - click's sign for "do not wrap"
    if not is_installed():
        raise DashboardRefused(f"the dashboard is not installed here: {EXTRA}")
    from kitsune.dashboard.users import MAX_PASSWORD, entry_text, hash_password

    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not 8 <= len(password) <= MAX_PASSWORD:  # noqa: PLR2004 - named in the message
        raise click.UsageError(f"a password has 8 to {MAX_PASSWORD} characters")
    click.echo(entry_text(name, role=role, password_hash=hash_password(password)))
    return Exit.OK
