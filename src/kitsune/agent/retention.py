"""Keeps the state folder small: what is older than an operator wants, and output beyond its room, goes.

Nothing here takes the folder's lock: the command cleans up beside a running local worker, by the same rules.
"""

import asyncio
import logging
import re
import shutil
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kitsune.agent.journal_retention import Kept, forget_operations, list_old_rollouts
from kitsune.agent.threads import Stop, in_thread
from kitsune.errors import JournalUnavailable
from kitsune.models.bytes import format_bytes, parse_bytes
from kitsune.models.durations import parse_duration
from kitsune.names import ENV_OUTPUT_LIMIT, ENV_UNDO_RETENTION

_EVERY = timedelta(hours=1)
_DAYS = re.compile(r"([0-9]+)d")
_BLOCK = 512

logger = logging.getLogger("kitsune.agent")


@dataclass(frozen=True)
class Retention:
    """What is kept.

    Attributes:
        age: How long journal rows, undo records and output stay after their operation has ended.
        output_limit: Bytes that all output may take; the oldest goes first.
    """

    age: timedelta = timedelta(days=30)
    output_limit: int = 1024**3


@dataclass(frozen=True)
class Removed:
    """A thing that was removed, or would be: of `journal`, `undo` or `output`; `reason` is `age` or `size`."""

    kind: str
    operation_id: str
    bytes: int
    reason: str


@dataclass
class Tidied:
    """What a clean-up did, and what it could not do, one sentence each."""

    removed: list[Removed] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


def parse_age(text: str) -> timedelta:
    """Return how long something is kept: a duration as in plans, or whole days such as `30d`.

    Raises:
        ValueError: It is neither.
    """
    days = _DAYS.fullmatch(text.strip())
    return parse_duration(int(days[1]) * 86400 if days else text)


def retention_of(environ: Mapping[str, str], *, age: timedelta | None = None) -> Retention:
    """Return what the environment asks for; `age` wins.

    Raises:
        ValueError: A variable is no duration or size.
    """
    default = Retention()
    given = (environ.get(ENV_UNDO_RETENTION), environ.get(ENV_OUTPUT_LIMIT))
    try:
        kept = parse_age(given[0]) if given[0] else default.age
        limit = parse_bytes(given[1]) if given[1] else default.output_limit
    except ValueError as error:
        raise ValueError(f"{ENV_UNDO_RETENTION} or {ENV_OUTPUT_LIMIT}: {error}") from error
    return Retention(age=kept if age is None else age, output_limit=limit)


async def keep_tidy(
    state: Path,
    retention: Retention,
    find_open: Callable[[Sequence[str]], Awaitable[Collection[str]]],
) -> None:
    """Clean up now and once an hour, for as long as the local worker lives.

    Args:
        state: The state folder.
        retention: What is kept.
        find_open: Told ids of rollouts, returns those that are not known to be over: nothing of them goes,
            however old it is.
    """
    while True:
        try:
            done = await _tidy_once(state, retention, find_open)
        except (JournalUnavailable, OSError) as error:
            logger.warning("nothing was cleaned up: %s", error)
        else:
            _log(done)
        await asyncio.sleep(_EVERY.total_seconds())


async def _tidy_once(
    state: Path,
    retention: Retention,
    find_open: Callable[[Sequence[str]], Awaitable[Collection[str]]],
) -> "Tidied":
    now = datetime.now(UTC)
    before = now - retention.age
    old = await in_thread(
        lambda _stop: list_old_rollouts(state / "journal.sqlite", before, now=now)
    )
    still_open = frozenset(await find_open(old)) if old else frozenset()
    return await in_thread(
        lambda stop: tidy(state, retention, now=now, open_rollouts=still_open, stop=stop)
    )


def tidy(
    state: Path,
    retention: Retention,
    *,
    now: datetime | None = None,
    open_rollouts: Collection[str] = (),
    dry_run: bool = False,
    stop: Stop | None = None,
) -> Tidied:
    """Remove what is kept no longer; blocks.

    An operation that runs, or that Temporal may hand out again, and all of its rollout, is left alone;
    `open_rollouts` are kept as well.

    Raises:
        JournalUnavailable: The journal cannot be read or changed; nothing was removed then.
    """
    now = now or datetime.now(UTC)
    before = now - retention.age
    kept, forgotten = forget_operations(
        state / "journal.sqlite",
        before,
        now=now,
        open_rollouts=open_rollouts,
        dry_run=dry_run,
    )
    tidied = Tidied([Removed("journal", gone, 0, "age") for gone in forgotten])
    cleaning = _Cleaning(tidied, kept, before, dry_run=dry_run, stop=stop or Stop())
    cleaning.remove_old("undo", state / "undo")
    left = cleaning.remove_old("output", state / "operations")
    cleaning.remove_beyond(retention.output_limit, left)
    return tidied


@dataclass(frozen=True)
class _Folder:
    path: Path
    operation_id: str
    bytes: int
    changed: float


class _Cleaning:
    """One clean-up of the folders."""

    def __init__(
        self, tidied: Tidied, kept: Kept, before: datetime, *, dry_run: bool, stop: Stop
    ) -> None:
        self._tidied, self._kept, self._before = tidied, kept, before
        self._dry_run, self._stop = dry_run, stop

    def remove_old(self, kind: str, parent: Path) -> list[_Folder]:
        """Remove folders that no row of the journal speaks of, once they are old; return the others."""
        left = []
        for folder in _folders(parent):
            known = folder.operation_id in self._kept.all
            if known or folder.changed >= self._before.timestamp():
                left.append(folder)
            else:
                self._remove(kind, folder, "age")
        return left

    def remove_beyond(self, limit: int, folders: list[_Folder]) -> None:
        """Remove the oldest output of ended operations until the rest has room."""
        total = sum(folder.bytes for folder in folders)
        for folder in sorted(folders, key=lambda each: each.changed):
            if total <= limit:
                return
            if folder.operation_id in self._kept.idle and self._remove("output", folder, "size"):
                total -= folder.bytes

    def _remove(self, kind: str, folder: _Folder, reason: str) -> bool:
        self._stop.check()
        try:
            if not self._dry_run:
                shutil.rmtree(folder.path)
        except FileNotFoundError:
            return True  # somebody else cleans up as well
        except OSError as error:
            self._tidied.troubles.append(f"cannot remove {str(folder.path)!r}: {error}")
            return False
        self._tidied.removed.append(Removed(kind, folder.operation_id, folder.bytes, reason))
        return True


def bytes_under(parent: Path, stop: Stop) -> int:
    """Return how many bytes of disk a folder of such folders takes; blocks."""
    total = 0
    for folder in _folders(parent):
        stop.check()
        total += folder.bytes
    return total


def _folders(parent: Path) -> Iterator[_Folder]:
    try:
        entries = sorted(parent.iterdir())
    except FileNotFoundError:
        return
    for path in entries:
        if not path.is_dir() or path.is_symlink():
            continue
        operation_id = path.name.removeprefix(".").removesuffix(".new")  # a draft of an undo record
        size, changed = 0, 0.0
        for found in (path, *path.rglob("*")):
            try:
                status = found.lstat()
            except FileNotFoundError:
                continue
            size += status.st_blocks * _BLOCK
            changed = max(changed, status.st_mtime)
        yield _Folder(path, operation_id, size, changed)


def _log(done: Tidied) -> None:
    for trouble in done.troubles:
        logger.warning("%s", trouble)
    if done.removed:
        size = format_bytes(sum(each.bytes for each in done.removed))
        logger.info("cleaned up: %d old things, %s", len(done.removed), size)
