"""Forgets operations that ended long ago, in the journal of a local worker that may be running."""

import contextlib
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kitsune.agent.journal_schema import open_to_change, open_to_look
from kitsune.errors import JournalUnavailable

#: Rollouts of which something runs are kept whole: a rollback reads what their other steps left.
_BUSY = "rollout_id in (select rollout_id from operations where state = 'started')"
#: So long an operation may be handed out again where its row does not say (older Kitsunes wrote none).
_UNSAID = timedelta(days=2)


@dataclass(frozen=True)
class Kept:
    """What the journal still holds: ids of all operations, and of those of rollouts that run nothing here."""

    all: frozenset[str] = frozenset()
    idle: frozenset[str] = frozenset()


def list_old_rollouts(path: Path, before: datetime, *, now: datetime) -> list[str]:
    """Return the rollouts of which `forget_operations` would forget something, unless they are open; oldest first.

    Raises:
        JournalUnavailable: It cannot be read.
    """
    with _journal(path, to_change=False) as db:
        if db is None:
            return []
        old, moments = _old(db, before, now)
        query = f"select rollout_id from operations where {old} group by 1 order by max(ended_at)"  # noqa: S608 - literals of this module
        return [row["rollout_id"] for row in db.execute(query, moments)]


def forget_operations(
    path: Path,
    before: datetime,
    *,
    now: datetime,
    open_rollouts: Collection[str] = (),
    dry_run: bool = False,
) -> tuple[Kept, list[str]]:
    """Forget what ended before a moment; return what is kept, and the ids of what is not.

    A rollout of which an operation runs, or may be handed out again, is kept whole.

    Args:
        path: The journal.
        before: The moment.
        now: The present, by the clock that wrote the journal.
        open_rollouts: Rollouts that are not over, and are kept as well.
        dry_run: Only look.

    Raises:
        JournalUnavailable: It cannot be read or changed.
    """
    find = "select id, rollout_id from operations where"
    with _journal(path, to_change=not dry_run) as db:
        if db is None:
            return Kept(), []
        db.execute("begin" if dry_run else "begin immediate")
        old, moments = _old(db, before, now)
        rows = db.execute(f"{find} {old}", moments).fetchall()
        gone = [row["id"] for row in rows if row["rollout_id"] not in open_rollouts]
        if not dry_run:
            db.executemany("delete from operations where id = ?", ((one,) for one in gone))
        everything = _ids(db, "select id from operations")
        idle = _ids(db, f"select id from operations where not {_BUSY}")  # noqa: S608 - a literal of this module
        db.execute("commit")
    forgotten = frozenset(gone)
    return Kept(frozenset(everything) - forgotten, frozenset(idle) - forgotten), gone


@contextlib.contextmanager
def _journal(path: Path, *, to_change: bool) -> Iterator[sqlite3.Connection | None]:
    try:
        opened = open_to_change(path) if to_change else open_to_look(path)
    except FileNotFoundError:
        yield None  # no step ran yet
        return
    except (sqlite3.Error, OSError) as error:
        raise _trouble(path, error) from error
    try:
        with contextlib.closing(opened) as db:
            yield db
    except (sqlite3.Error, OSError) as error:
        raise _trouble(path, error) from error


def _old(db: sqlite3.Connection, before: datetime, now: datetime) -> tuple[str, tuple[str, ...]]:
    """Return which rows may be forgotten, as a condition and its values."""
    ended, present, unsaid = (
        moment.astimezone(UTC).isoformat() for moment in (before, now, now - _UNSAID)
    )
    said = {row["name"] for row in db.execute("pragma table_info(operations)")}
    until = "deliverable_until" if "deliverable_until" in said else "null"
    open_ones = (
        "select rollout_id from operations where state = 'started' "  # noqa: S608 - literals of this module
        f"or case when {until} is null then started_at >= ? else {until} >= ? end"
    )
    return f"ended_at < ? and rollout_id not in ({open_ones})", (ended, unsaid, present)


def _ids(db: sqlite3.Connection, query: str) -> list[str]:
    return [row["id"] for row in db.execute(query)]


def _trouble(path: Path, error: Exception) -> JournalUnavailable:
    return JournalUnavailable(f"the journal {str(path)!r} cannot be cleaned up ({error})")
