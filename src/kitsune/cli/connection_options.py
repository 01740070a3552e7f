"""The options that every command with a connection takes, and how it uses them."""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kitsune.errors import KitsuneError, NotFound
from kitsune.models.durations import parse_duration

if TYPE_CHECKING:
    from kitsune.service.fleet import Fleet

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
ResultT = TypeVar("ResultT")

#: Rollouts among whose ids one is looked for that was mistyped, and how many seconds that may take.
_RECENT = 200
_PATIENCE = 2.0


def connection_options(command: CommandT) -> CommandT:
    """Add `--address`, `--namespace` and `--profile`; the command gets them as one `connection`.

    A key never stands on a command line, where every user of the host can read it: it comes from
    TEMPORAL_API_KEY or from a profile.
    """

    @functools.wraps(command)
    def with_connection(
        *args: Any,
        address: str | None,
        namespace: str | None,
        profile: str | None,
        **options: Any,
    ) -> Any:
        from kitsune.service.options import ConnectionOptions

        connection = ConnectionOptions(address=address, namespace=namespace, profile=profile)
        return command(*args, connection=connection, **options)

    shown = (
        ("--profile", "NAME", "Profile of Temporal's configuration file; or TEMPORAL_PROFILE."),
        ("--namespace", "NAME", "Temporal's namespace; or TEMPORAL_NAMESPACE."),
        ("--address", "HOST:PORT", "Where Temporal is; or TEMPORAL_ADDRESS."),
    )
    wrapped: Any = with_connection
    for flag, metavar, text in shown:
        wrapped = click.option(flag, metavar=metavar, help=text)(wrapped)
    return wrapped  # type: ignore[no-any-return]  # click keeps the callable's type, but does not say so


def output_option(*formats: str) -> Callable[[CommandT], CommandT]:
    """Add `-o/--output`, text by default."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(formats),
        default="text",
        show_default=True,
        help="What stdout gets.",
    )


def timeout_option(text: str) -> Callable[[CommandT], CommandT]:
    """Add `--timeout`, a duration as plans write it."""
    return click.option("--timeout", metavar="DURATION", callback=_duration, help=text)


def _duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> timedelta | None:
    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


class FleetSession:
    """A connection that outlives one coroutine, so that a command can ask its user in between."""

    def __init__(self, runner: asyncio.Runner, fleet: "Fleet") -> None:
        self._runner = runner
        self.fleet = fleet

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run a coroutine to its end; Ctrl-C cancels it and raises `KeyboardInterrupt`.

        Raises:
            NotFound: There is no such rollout; the text says which one may be meant.
        """
        try:
            return self._runner.run(work)
        except NotFound as unknown:
            if unknown.rollout_id is None:
                raise
            near = self._runner.run(_near(self.fleet, unknown.rollout_id))
            hint = f": did you mean {near!r}?" if near else ""
            raise NotFound(f"{unknown}{hint}", rollout_id=unknown.rollout_id) from unknown


async def _near(fleet: "Fleet", rollout_id: str) -> str | None:
    """Return the recent rollout that an unknown id most likely meant: the latest that begins like it, or the most like it."""
    from kitsune.models.problems import nearest

    with suppress(KitsuneError, TimeoutError):  # one error is told already
        async with asyncio.timeout(_PATIENCE):
            known = [row.rollout_id for row in await fleet.rollouts(limit=_RECENT)]
        begun = (known_id for known_id in known if rollout_id and known_id.startswith(rollout_id))
        return next(begun, None) or nearest(rollout_id, known)
    return None


@contextmanager
def fleet_session(connection: Any) -> Iterator[FleetSession]:
    """Connect, within seconds.

    Raises:
        ServerUnavailable: Temporal does not answer or does not let us in.
    """
    from kitsune.service.connection import connect
    from kitsune.service.fleet import Fleet

    with asyncio.Runner() as runner:
        yield FleetSession(runner, Fleet(runner.run(connect(connection))))
