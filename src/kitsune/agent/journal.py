"""The journal: what this server has begun and how it ended, so that nothing is done twice.

Temporal hands a step out at least once; a row here, committed before the step runs, makes it once.
"""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from kitsune.agent.disk import PROBE, RoomProof, refused
from kitsune.agent.journal_schema import open_journal, open_to_look
from kitsune.errors import JournalUnavailable
from kitsune.models.results import StepOutcome

T = TypeVar("T")


@dataclass(frozen=True)
class Operation:
    """One step of one rollout on one server, in one direction.

    Attributes:
        run_id: The rollout's first run id: two rollouts of one id differ here.
        phase: `execute` or `rollback`.
        generation: Grows only when an operator asks to run something again; never with a delivery.
        step_type: For people who read the journal; no part of the id.
        deliverable_until: When Temporal hands it out for the last time, by this host's clock; its row must not be
            forgotten before. None where nobody said.
    """

    rollout_id: str
    run_id: str
    server_id: str
    step_index: int
    step_name: str
    phase: str = "execute"
    generation: int = 0
    step_type: str | None = None
    deliverable_until: datetime | None = None

    @cached_property
    def id(self) -> str:
        """The operation's id: 32 hex digits, the same for every delivery."""
        parts = (
            self.run_id,
            self.server_id,
            str(self.step_index),
            self.phase,
            str(self.generation),
        )
        return sha256("\0".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Entry:
    """A row of the journal.

    Attributes:
        state: `started` (an execution runs, or died without a word), `exited` (one ended and another may
            follow) or `finished` (the recorded outcome is final).
        undone: Its rollback has begun: what is recorded is no longer so.
        executions: How often the handler was started.
        interruptions: How many of those ended without a record.
        boot_id, pid, pid_start: Which process of which boot ran the last execution.
        run_id, step_index, step_type: None where a Kitsune of schema 1 wrote the row.
    """

    id: str
    rollout_id: str
    run_id: str | None
    server_id: str
    step: str
    step_index: int | None
    step_type: str | None
    phase: str
    state: str
    executions: int
    interruptions: int
    deliveries: int
    boot_id: str | None
    pid: int | None
    pid_start: int | None
    started_at: datetime
    ended_at: datetime | None
    outcome: StepOutcome | None
    undone: bool


class Journal:
    """The journal of one server: SQLite, every change on disk before the call returns.

    All work runs on one thread of its own, so the event loop never waits for the disk.
    """

    def __init__(self, path: Path, *, records: Sequence[Path] = ()) -> None:
        """Set up a journal; touches nothing yet.

        Args:
            path: The database.
            records: Folders that must take records as well before a step may begin: undo records, output.
        """
        self._path = path
        self._room = [RoomProof(folder) for folder in (path.parent, *records)]
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    async def find(self, operation_id: str) -> Entry | None:
        """Return the row of an operation, or None where it never began here."""
        return await self._run(lambda db: _find(db, operation_id))

    async def begin(self, operation: Operation, *, boot_id: str) -> Entry:
        """Record, before it happens, that an execution starts; return the row.

        Raises:
            JournalUnavailable: It cannot be recorded, so it must not happen.
        """

        def begin(db: sqlite3.Connection) -> Entry:
            if operation.phase == "execute":  # an undo needs no record, and may make room
                self._prove_room()
            return _begin(db, operation, boot_id=boot_id)

        return await self._run(begin)

    async def deliver(self, operation_id: str) -> None:
        """Count one more delivery of an operation that is on record."""
        await self._run(lambda db: _update(db, operation_id, "deliveries = deliveries + 1"))

    async def record_process(
        self, operation_id: str, *, pid: int, pid_start: int | None, boot_id: str | None = None
    ) -> None:
        """Record which process runs the current execution; `boot_id` where that began in an earlier boot."""
        change = "pid = ?, pid_start = ?, boot_id = coalesce(?, boot_id)"
        await self._run(lambda db: _update(db, operation_id, change, pid, pid_start, boot_id))

    async def end(self, operation_id: str, outcome: StepOutcome, *, final: bool) -> None:
        """Record how an execution ended, and whether that is the operation's last word."""
        state = "finished" if final else "exited"
        interrupted = int(outcome.status == "interrupted")
        await self._run(
            lambda db: _update(
                db,
                operation_id,
                "state = ?, outcome = ?, ended_at = ?, interruptions = interruptions + ?",
                state,
                outcome.model_dump_json(by_alias=True),
                datetime.now(UTC).isoformat(),
                interrupted,
            )
        )

    async def mark_undone(self, operation_id: str) -> None:
        """Record that the rollback of an operation begins."""
        await self._run(lambda db: _update(db, operation_id, "undone = 1"))

    async def list_started(self) -> list[Entry]:
        """Return the operations of which an execution has begun and not ended, as far as is recorded."""
        return await self._run(lambda db: _list(db, "where state = 'started'"))

    async def count_rows(self) -> dict[str, int]:
        """Return how many operations there are in each state that has any."""
        count = "select state, count(*) from operations group by state"
        return await self._run(lambda db: dict(map(tuple, db.execute(count))))

    async def look(self, operation_id: str) -> tuple[Entry | None, list[Entry]]:
        """Return the row of an operation, and all that have begun and not ended."""
        return await self._run(
            lambda db: (_find(db, operation_id), _list(db, "where state = 'started'"))
        )

    async def list_survived(self) -> list[Entry]:
        """Return the operations whose outcome names processes that KILL did not end."""
        which = """where instr(outcome, '"stillRunning":') > 0"""
        return await self._run(lambda db: _list(db, which))

    async def list_rollout(self, rollout_id: str, *, limit: int) -> list[Entry]:
        """Return what has begun for a rollout, the last first."""
        which = "where rollout_id = ? order by started_at desc, rowid desc limit ?"
        return await self._run(lambda db: _list(db, which, rollout_id, limit))

    async def check(self) -> None:
        """Prove that the journal, and the records beside it, can be written.

        Raises:
            JournalUnavailable: They cannot, and why.
        """

        def check(db: sqlite3.Connection) -> None:
            _prove_writable(db)
            self._prove_room(anew=True)

        await self._run(check)

    async def close(self) -> None:
        """Close the database for good."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=True)

    def _prove_room(self, *, anew: bool = False) -> None:
        for proof in self._room:
            try:
                proof.renew(anew=anew)
            except OSError as error:
                reason = refused(error, proof.folder, doing="record in", needed=PROBE)
                raise JournalUnavailable(
                    f"{reason}; so nothing is done: free space or mend the disk"
                ) from error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, work)

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = open_journal(self._path)
                self._file = _identity(self._path)
            elif _identity(self._path) != self._file:
                raise OSError("it was removed or replaced while this local worker ran")  # noqa: TRY301 - told like every other
            return work(self._connection)
        except (sqlite3.Error, OSError) as error:
            raise JournalUnavailable(
                f"the journal {str(self._path)!r} cannot be written ({error}): "
                "nothing is done that cannot be recorded; free space or mend the disk"
            ) from error


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _find(db: sqlite3.Connection, operation_id: str) -> Entry | None:
    row = db.execute("select * from operations where id = ?", (operation_id,)).fetchone()
    return None if row is None else _entry(row)


def read_journal(path: Path, *, limit: int, rollout_id: str | None = None) -> list[Entry]:
    """Return the operations that began last, newest first; changes nothing, and needs no local worker.

    Raises:
        JournalUnavailable: There is none, or it cannot be read.
    """
    only = "" if rollout_id is None else "where rollout_id = ?"
    values = () if rollout_id is None else (rollout_id,)
    try:
        with contextlib.closing(open_to_look(path)) as db:
            return _list(db, f"{only} order by started_at desc, rowid desc limit ?", *values, limit)
    except FileNotFoundError as error:
        raise JournalUnavailable(
            f"there is no journal {str(path)!r}: no step ran yet with this state folder, or it is another one"
        ) from error
    except (sqlite3.Error, OSError) as error:
        raise JournalUnavailable(f"the journal {str(path)!r} cannot be read ({error})") from error


def _list(db: sqlite3.Connection, which: str, *values: Any) -> list[Entry]:
    rows = db.execute(f"select * from operations {which}", values)  # noqa: S608 - `which` is a literal of this module
    return [_entry(row) for row in rows]


def _entry(row: sqlite3.Row) -> Entry:
    known = dict(row)
    return Entry(
        id=row["id"],
        rollout_id=row["rollout_id"],
        run_id=known.get("run_id"),
        server_id=row["server_id"],
        step=row["step"],
        step_index=known.get("step_index"),
        step_type=known.get("step_type"),
        phase=row["phase"],
        state=row["state"],
        executions=row["executions"],
        interruptions=row["interruptions"],
        deliveries=row["deliveries"],
        boot_id=row["boot_id"],
        pid=row["pid"],
        pid_start=row["pid_start"],
        started_at=datetime.fromisoformat(row["started_at"]),
        ended_at=datetime.fromisoformat(row["ended_at"]) if row["ended_at"] else None,
        outcome=StepOutcome.model_validate(json.loads(row["outcome"])) if row["outcome"] else None,
        undone=bool(row["undone"]),
    )


def _begin(db: sqlite3.Connection, operation: Operation, *, boot_id: str) -> Entry:
    now = datetime.now(UTC).isoformat()
    db.execute(
        """
        insert into operations (id, phase, rollout_id, run_id, server_id, step, step_index, step_type,
            state, executions, boot_id, started_at, deliverable_until)
        values (?, ?, ?, ?, ?, ?, ?, ?, 'started', 1, ?, ?, ?)
        on conflict (id) do update set
            state = 'started', executions = executions + 1, boot_id = excluded.boot_id,
            pid = null, pid_start = null, ended_at = null, deliverable_until = excluded.deliverable_until
        """,
        (
            operation.id,
            operation.phase,
            operation.rollout_id,
            operation.run_id,
            operation.server_id,
            operation.step_name,
            operation.step_index,
            operation.step_type,
            boot_id,
            now,
            until.astimezone(UTC).isoformat() if (until := operation.deliverable_until) else None,
        ),
    )
    entry = _find(db, operation.id)
    if entry is None:  # pragma: no cover - SQLite would have to lose a committed row
        raise sqlite3.DatabaseError("the row that was just written is gone")
    return entry


def _update(db: sqlite3.Connection, operation_id: str, change: str, *values: Any) -> None:
    db.execute(f"update operations set {change} where id = ?", (*values, operation_id))  # noqa: S608 - `change` is a literal of this module


def _prove_writable(db: sqlite3.Connection) -> None:
    db.execute("begin immediate")
    try:
        db.execute("create table probe (filler blob)")
        db.execute("insert into probe values (zeroblob(65536))")
    finally:
        if db.in_transaction:
            db.execute("rollback")
