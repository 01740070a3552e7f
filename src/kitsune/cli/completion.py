"""`kitsune completion`: what a shell needs to complete our commands."""

import click

from kitsune.cli.exits import Exit

VARIABLE = "_KITSUNE_COMPLETE"
_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> Exit:
    """Print what makes a shell complete commands, options, rollouts and servers when you press Tab.

    \b
    source <(kitsune completion bash)                                      for this shell
    kitsune completion bash > /etc/bash_completion.d/kitsune               for every one
    kitsune completion zsh > "${fpath[1]}/_kitsune"
    kitsune completion fish > ~/.config/fish/completions/kitsune.fish

    Rollouts and servers are asked from Temporal: for 0.3 s at most, and not again for 10 s.
    """  # noqa: D301 - click's sign for "do not wrap"
    from click.shell_completion import get_completion_class

    from kitsune.cli.main import kitsune

    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"no completion for {shell}")
    # Without the check of the installed bash that `source` makes: the script may be for another host.
    completed = made(kitsune, {}, "kitsune", VARIABLE)
    click.echo(completed.source_template % completed.source_vars())
    return Exit.OK
