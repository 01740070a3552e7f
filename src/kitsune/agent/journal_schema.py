"""The journal's file: its schema, how it came to be, and how it is opened."""

import sqlite3
from contextlib import suppress
from pathlib import Path

_SCHEMA = """
create table operations (
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
    undone integer not null default 0,
    run_id text,
    step_index integer,
    step_type text,
    deliverable_until text
) strict
"""
#: Every step asks what has begun and not ended: without it, that would read the whole journal each time.
#: Created wherever it is missing, for older Kitsunes do not mind it.
_INDEX = "create index if not exists started on operations (id) where state = 'started'"
#: Schema version -> what makes the next one of it. Rows of an older schema hold null in what came later.
_STEPS = {
    1: (
        "alter table operations add column run_id text",
        "alter table operations add column step_index integer",
        "alter table operations add column step_type text",
    ),
    2: ("alter table operations add column deliverable_until text",),
}
SCHEMA_VERSION = 3


def open_journal(path: Path) -> sqlite3.Connection:
    """Open a journal to work with it: create what is missing, bring an older one up to date.

    Raises:
        sqlite3.Error: It is no database, or a newer Kitsune wrote it.
        OSError: It cannot be created.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    connection = _connect(str(path))
    try:
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        _migrate(connection)
        with suppress(sqlite3.OperationalError):  # a full disk: it is only faster with it
            connection.execute(_INDEX)
    except BaseException:
        connection.close()
        raise
    return connection


def open_to_look(path: Path) -> sqlite3.Connection:
    """Open a journal without changing it, whether or not a local worker uses it; rows may be of an older schema.

    Raises:
        sqlite3.Error: It is no database, or a newer Kitsune wrote it.
        FileNotFoundError: There is none.
    """
    path.stat()
    address = path.absolute().as_uri()
    try:
        return _looking(f"{address}?mode=ro")
    except sqlite3.OperationalError:  # a read-only disk has no room for the index that WAL wants
        return _looking(f"{address}?immutable=1")


def open_to_change(path: Path) -> sqlite3.Connection:
    """Open a journal to change rows beside the local worker that owns it; the schema stays as it is.

    Raises:
        sqlite3.Error: It is no database, or a newer Kitsune wrote it.
        FileNotFoundError: There is none.
    """
    path.stat()
    connection = _looking(f"{path.absolute().as_uri()}?mode=rw")
    connection.execute("pragma synchronous = full")
    return connection


def _looking(address: str) -> sqlite3.Connection:
    connection = _connect(address, uri=True)
    try:
        if _version(connection) == 0:
            raise FileNotFoundError(address)  # noqa: TRY301 - its first local worker is just creating it
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(address: str, *, uri: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(
        address, uri=uri, isolation_level=None, check_same_thread=False, timeout=10
    )
    connection.row_factory = sqlite3.Row
    return connection


def _version(connection: sqlite3.Connection) -> int:
    version = int(connection.execute("pragma user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise sqlite3.DatabaseError(
            f"written by a newer Kitsune, schema {version}; upgrade this one"
        )
    return version


def _migrate(connection: sqlite3.Connection) -> None:
    if _version(connection) == SCHEMA_VERSION:
        return
    connection.execute("begin immediate")
    try:
        version = _version(connection)  # asked again: another process may have been faster
        if version == 0:
            connection.execute(_SCHEMA)
        for older in range(version or SCHEMA_VERSION, SCHEMA_VERSION):
            for statement in _STEPS[older]:
                connection.execute(statement)
        connection.execute(f"pragma user_version = {SCHEMA_VERSION}")
        connection.execute("commit")
    finally:
        if connection.in_transaction:
            connection.execute("rollback")
