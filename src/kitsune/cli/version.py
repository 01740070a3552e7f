"""`kitsune version`: what runs here."""

import platform
from importlib.metadata import version as installed

import click

from kitsune.cli.connection_options import output_option
from kitsune.cli.console import print_json, print_line, stdout_console
from kitsune.cli.exits import Exit
from kitsune.version import __version__


@click.command()
@output_option("text", "json")
def version(output: str) -> Exit:
    """Print the versions of Kitsune, Python and Temporal's SDK.

    \b
    kitsune version
    """  # noqa: D301 - click's sign for "do not wrap"
    versions = {
        "kitsune": __version__,
        "python": platform.python_version(),
        "temporalio": installed("temporalio"),
    }
    if output == "json":
        print_json(versions)
        return Exit.OK
    console = stdout_console()
    print_line(console, f"kitsune {versions['kitsune']}")
    print_line(console, f"python {versions['python']}, temporalio {versions['temporalio']}")
    return Exit.OK
