"""The journal: what this server has begun and how it ended, so that nothing is done twice.

Temporal hands a step out at least once; a row here, committed before the step runs, makes it once.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from kitsune.errors import JournalUnavailable
from kitsune.models.results import StepOutcome

_SCHEMA = """
create table if not exists operations (
    id text primary key,
    phase text not null,
    rollout_id text not null,
    server_id text not null,
    step text not null,
    state text not null check (state in ('started', 'exited', 'finished')),
    executions integer not null,
    interruptions integer not null default 0,
    deliveries integer not null default 1,
    boot_id text,
    pid integer,
    pid_start integer,
    started_at text not null,
    ended_at text,
    outcome text,
    undone integer not null default 0
) strict
"""
_VERSION = 1
T = TypeVar("T")


@dataclass(frozen=True)
class Operation:
    """One step of one rollout on one server, in one direction.

    Attributes:
        run_id: The rollout's first run id: two rollouts of one id differ here.
        phase: `execute` or `rollback`.
        generation: Grows only when an operator asks to run something again; never with a delivery.
    """

    rollout_id: str
    run_id: str
    server_id: str
    step_index: int
    step_name: str
    phase: str = "execute"
    generation: int = 0

    @property
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
    """

    id: str
    state: str
    executions: int
    interruptions: int
    deliveries: int
    boot_id: str | None
    pid: int | None
    pid_start: int | None
    started_at: datetime
    outcome: StepOutcome | None
    undone: bool


class Journal:
    """The journal of one server: SQLite, every change on disk before the call returns.

    All work runs on one thread of its own, so the event loop never waits for the disk.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
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
        return await self._run(lambda db: _begin(db, operation, boot_id=boot_id))

    async def deliver(self, operation_id: str) -> None:
        """Count one more delivery of an operation that is on record."""
        await self._run(lambda db: _update(db, operation_id, "deliveries = deliveries + 1"))

    async def record_process(self, operation_id: str, *, pid: int, pid_start: int | None) -> None:
        """Record which process runs the current execution."""
        await self._run(
            lambda db: _update(db, operation_id, "pid = ?, pid_start = ?", pid, pid_start)
        )

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
        return await self._run(_list_started)

    async def check(self) -> None:
        """Prove that the journal can be written.

        Raises:
            JournalUnavailable: It cannot, and why.
        """
        await self._run(_prove_writable)

    async def close(self) -> None:
        """Close the database for good."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=True)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, work)

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = _open(self._path)
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


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    connection.row_factory = sqlite3.Row
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    version = connection.execute("pragma user_version").fetchone()[0]
    if version > _VERSION:
        connection.close()
        raise sqlite3.DatabaseError(
            f"written by a newer Kitsune, schema {version}; upgrade this one"
        )
    if version == 0:
        connection.execute(_SCHEMA)
        connection.execute(f"pragma user_version = {_VERSION}")
    return connection


def _find(db: sqlite3.Connection, operation_id: str) -> Entry | None:
    row = db.execute("select * from operations where id = ?", (operation_id,)).fetchone()
    return None if row is None else _entry(row)


def _list_started(db: sqlite3.Connection) -> list[Entry]:
    return [_entry(row) for row in db.execute("select * from operations where state = 'started'")]


def _entry(row: sqlite3.Row) -> Entry:
    outcome = StepOutcome.model_validate(json.loads(row["outcome"])) if row["outcome"] else None
    return Entry(
        id=row["id"],
        state=row["state"],
        executions=row["executions"],
        interruptions=row["interruptions"],
        deliveries=row["deliveries"],
        boot_id=row["boot_id"],
        pid=row["pid"],
        pid_start=row["pid_start"],
        started_at=datetime.fromisoformat(row["started_at"]),
        outcome=outcome,
        undone=bool(row["undone"]),
    )


def _begin(db: sqlite3.Connection, operation: Operation, *, boot_id: str) -> Entry:
    now = datetime.now(UTC).isoformat()
    db.execute(
        """
        insert into operations (id, phase, rollout_id, server_id, step, state, executions, boot_id, started_at)
        values (?, ?, ?, ?, ?, 'started', 1, ?, ?)
        on conflict (id) do update set
            state = 'started', executions = executions + 1, boot_id = excluded.boot_id,
            pid = null, pid_start = null, ended_at = null
        """,
        (
            operation.id,
            operation.phase,
            operation.rollout_id,
            operation.server_id,
            operation.step_name,
            boot_id,
            now,
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
