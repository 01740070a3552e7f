"""What all orders to a rollout share: their options, who gives them, and how the answer is told."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kitsune.cli.completing import servers
from kitsune.cli.console import print_json, print_line, safe, stdout_console
from kitsune.cli.watch import say

if TYPE_CHECKING:
    from kitsune.service.ordering import Accepted, Answer

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def reason_option(command: CommandT) -> CommandT:
    """Add `--reason`."""
    return click.option(
        "--reason", metavar="TEXT", default="", help="Why; recorded with the order."
    )(command)


def yes_option(command: CommandT) -> CommandT:
    """Add `--yes`."""
    return click.option(
        "-y", "--yes", is_flag=True, help="Do not ask. Off a terminal nobody is asked."
    )(command)


def servers_option(text: str) -> Callable[[CommandT], CommandT]:
    """Add `--server`, which may be given several times."""
    return click.option(
        "--server", "servers", metavar="S", multiple=True, help=text, shell_complete=servers
    )


def agreed(question: str) -> bool:
    """Return whether the person at the keyboard agrees; where nobody sits, nobody is asked."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    return click.confirm(question, err=True)


def who(reason: str) -> dict[str, str]:
    """Return what every order says of itself."""
    from kitsune.service.connection import actor

    return {"actor": actor(), "reason": reason}


def say_how_it_arrived(accepted: "Accepted", *, rollout_id: str, verb: str) -> None:
    """Say so where a rollout has not answered an order."""
    ways = type(accepted)  # `--help` must not import Temporal's SDK
    if accepted is ways.ON_RECORD:
        say(f"no orchestration worker answers: the {verb} is on record, and the next one obeys it")
    elif accepted is ways.SIGNALLED:
        say(
            f"{rollout_id} has had so many orders that it answers no more: the {verb} was sent as a signal, "
            "and `kitsune status` shows whether it is obeyed"
        )


def tell_answer(
    answer: "Answer", *, rollout_id: str, verb: str, output: str, server: str | None = None
) -> None:
    """Write what the rollout said to an order, and say so where it only waits for a worker."""
    say_how_it_arrived(answer.accepted, rollout_id=rollout_id, verb=verb)
    if output == "json":
        told = {"rolloutId": rollout_id, "verb": verb, "accepted": answer.accepted.value}
        named = {"server": server} if server else {}
        print_json(told | named | {"answer": answer.text}, indent=None)
    elif answer.text:
        print_line(stdout_console(), f"{safe(rollout_id)}: {safe(answer.text)}")
