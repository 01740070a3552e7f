"""Forgets operations that ended long ago, in the journal of a local worker that may be running."""

import contextlib
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kitsune.agent.journal_schema import open_to_change, open_to_look
from kitsune.errors import JournalUnavailable

#: Rollouts of which something runs are kept whole: a rollback reads what their other steps left.
_BUSY = "rollout_id in (select rollout_id from operations where state = 'started')"
_OLD = f"state != 'started' and ended_at < ? and not {_BUSY}"


@dataclass(frozen=True)
class Kept:
    """What the journal still holds: ids of all operations, and of those of rollouts that run nothing here."""

    all: frozenset[str] = frozenset()
    idle: frozenset[str] = frozenset()


def forget_operations(
    path: Path, before: datetime, *, dry_run: bool = False
) -> tuple[Kept, list[str]]:
    """Forget what ended before a moment; return what is kept, and the ids of what is not.

    Raises:
        JournalUnavailable: It cannot be read or changed.
    """
    opened = open_to_look if dry_run else open_to_change
    find = "select id from operations where" if dry_run else "delete from operations where"
    returning = "" if dry_run else "returning id"
    moment = before.astimezone(UTC).isoformat()
    try:
        with contextlib.closing(opened(path)) as db:
            gone = _ids(db, f"{find} {_OLD} {returning}", moment)
            everything = _ids(db, "select id from operations")
            idle = _ids(db, f"select id from operations where not {_BUSY}")  # noqa: S608 - a literal of this module
    except FileNotFoundError:
        return Kept(), []  # no step ran yet
    except (sqlite3.Error, OSError) as error:
        raise JournalUnavailable(
            f"the journal {str(path)!r} cannot be cleaned up ({error})"
        ) from error
    forgotten = frozenset(gone)
    return Kept(frozenset(everything) - forgotten, frozenset(idle) - forgotten), gone


def _ids(db: sqlite3.Connection, query: str, *values: str) -> list[str]:
    return [row["id"] for row in db.execute(query, values).fetchall()]
