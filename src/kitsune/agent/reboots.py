"""Restarts the host in the middle of a step, and finds the way back: the boot id says whether it happened.

What was asked for is on disk before it is asked for, so that nothing is asked twice, whoever dies in between.
"""

import asyncio
import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from logging import Logger, LoggerAdapter
from pathlib import Path
from typing import Any, NoReturn, Protocol

from kitsune.agent.disk import refused, sync_way, write_all
from kitsune.agent.environment import clean_environment
from kitsune.agent.launch import find_program
from kitsune.agent.proc import boot_id
from kitsune.agent.threads import in_thread
from kitsune.errors import StepFailed
from kitsune.models.durations import format_duration
from kitsune.names import ENV_REBOOT_COMMAND

#: Where a program runs that is started again after a restart: inside the folder of its run before it.
AGAIN_FOLDER = "again"
_FILE = "reboot.json"
_LOG = "reboot.log"
_COMMAND = ("systemctl", "reboot")
#: How long the news that this host goes down have to reach Temporal before it does.
_NOTICE = timedelta(seconds=3)
_POLL = timedelta(milliseconds=50)
_LOOK_EVERY = timedelta(seconds=1)
#: What is left of the step's time to say that nothing happened.
_LAST_WORD = timedelta(seconds=1)
_MESSAGE_BYTES = 1500
#: The folders of the execution, its operation and all operations: any of them may have been made for this step.
_NEW_FOLDERS = 3


class Waiting(Protocol):
    """What is needed of a step's context."""

    @property
    def spool(self) -> Path:
        """A folder that stays."""

    @property
    def timeout(self) -> timedelta:
        """How long the step may take."""

    @property
    def log(self) -> "LoggerAdapter[Logger]":
        """Where to tell it."""

    @property
    def report(self) -> Callable[[Mapping[str, Any]], None]:
        """Shows live progress."""


@dataclass(frozen=True)
class AskedReboot:
    """A restart that was asked for.

    Attributes:
        boot_id: The boot that it was to end.
        until: When the step gives up, by this host's clock.
        count: How many restarts this step has asked for, with this one.
    """

    boot_id: str
    until: str
    count: int = 1

    @property
    def happened(self) -> bool:
        """Whether the host has restarted since."""
        return boot_id() != self.boot_id


def reboot_command(environ: Mapping[str, str]) -> list[str]:
    """Return what restarts this host."""
    return shlex.split(environ.get(ENV_REBOOT_COMMAND, "")) or list(_COMMAND)


def asked_reboot(spool: Path) -> AskedReboot | None:
    """Return the restart that a step has asked for, or None where it never came so far.

    Raises:
        StepFailed: The record cannot be read.
    """
    try:
        return AskedReboot(**json.loads((spool / _FILE).read_bytes()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refused(error, spool / _FILE, doing="read") from error
    except (ValueError, TypeError) as error:
        message = f"{str(spool / _FILE)!r} is damaged: whether this host was asked to restart is not known"
        raise StepFailed(message, permanent=True) from error


async def reboot_and_wait(ctx: Waiting, command: Sequence[str], *, count: int = 1) -> NoReturn:
    """Ask the host to restart; ends only by being cancelled, or with the failure that it did not.

    Raises:
        StepFailed: It could not be asked, or is still up when the step's time is over.
    """
    environment = clean_environment(os.environ, account=None)
    program = find_program(command[0], path=environment["PATH"], cwd=None)
    until = datetime.now(UTC) + ctx.timeout
    asked = AskedReboot(boot_id(), until.isoformat(), count)
    await in_thread(lambda _stop: _write(ctx.spool, asked))
    _tell(ctx, until)
    await asyncio.sleep(min(_NOTICE, ctx.timeout / 10).total_seconds())
    ctx.log.info("the host is asked to restart: %s", shlex.join(command))
    await _run(command, environment, program=program, log=ctx.spool / _LOG)
    await wait_for_reboot(ctx, asked)


async def wait_for_reboot(ctx: Waiting, asked: AskedReboot) -> NoReturn:
    """Wait for a restart that was asked for before; ends like `reboot_and_wait`.

    Raises:
        StepFailed: The host is still up when the step's time is over.
    """
    until = datetime.fromisoformat(asked.until)
    last = until - min(_LAST_WORD, ctx.timeout / 10)
    while (left := last - datetime.now(UTC)) > timedelta(0):
        _tell(ctx, until)
        await asyncio.sleep(min(_LOOK_EVERY, left).total_seconds())
    raise StepFailed(
        f"asked to restart, but the host is still up after {format_duration(ctx.timeout)}",
        permanent=True,
    )


def _tell(ctx: Waiting, until: datetime) -> None:
    left = max(0.0, (until - datetime.now(UTC)).total_seconds())
    ctx.report({"rebooting": True, "until": until.isoformat(), "seconds": round(left)})


def _write(spool: Path, asked: AskedReboot) -> None:
    place, draft = spool / _FILE, spool / f"{_FILE}.new"
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_all(descriptor, json.dumps(asdict(asked)).encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        draft.rename(place)
        sync_way(spool, above=_NEW_FOLDERS)
    except OSError as error:
        doing = "note (so the host was not asked to restart) in"
        raise refused(error, spool, doing=doing) from error


async def _run(
    command: Sequence[str], environment: Mapping[str, str], *, program: str, log: Path
) -> None:
    """Run the command; it goes on when we are cancelled, and one that a signal ends may have met the restart itself."""
    pid = _spawn(command, environment, program=program, log=log)
    while (code := _exit_code(pid)) is None:  # noqa: ASYNC110 - nothing tells us of it
        await asyncio.sleep(_POLL.total_seconds())
    if code > 0:
        told = _end_of(log)
        raise StepFailed(
            f"cannot restart the host: {shlex.join(command)!r} ended with exit code {code}"
            + (f": {told}" if told else ""),
            permanent=True,
        )


def _spawn(
    command: Sequence[str], environment: Mapping[str, str], *, program: str, log: Path
) -> int:
    written = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    return os.posix_spawn(
        program,
        list(command),
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, str(log), written, 0o600),
        ],
        setsid=True,
    )


def _exit_code(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _end_of(log: Path) -> str:
    try:
        return log.read_text(errors="replace").strip()[-_MESSAGE_BYTES:]
    except OSError:
        return ""
