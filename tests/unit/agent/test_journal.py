import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from kitsune.agent import journal as journal_module
from kitsune.agent import journal_schema
from kitsune.agent.journal import Journal, Operation, read_journal
from kitsune.agent.journal_schema import SCHEMA_VERSION
from kitsune.errors import JournalUnavailable

_SCHEMA_1 = """
create table operations (
    id text primary key, phase text not null, rollout_id text not null, server_id text not null,
    step text not null, state text not null check (state in ('started', 'exited', 'finished')),
    executions integer not null, interruptions integer not null default 0,
    deliveries integer not null default 1, boot_id text, pid integer, pid_start integer,
    started_at text not null, ended_at text, outcome text, undone integer not null default 0
) strict
"""


def operation(step: str = "write", *, rollout: str = "r", index: int = 3) -> Operation:
    return Operation(
        rollout_id=rollout,
        run_id=f"run-of-{rollout}",
        server_id="web-1",
        step_index=index,
        step_name=step,
        step_type="file_write",
    )


def traced(asked: list[str]) -> Callable[[Path], sqlite3.Connection]:
    """Return what opens a journal and notes every statement."""

    def open_traced(path: Path) -> sqlite3.Connection:
        connection = journal_schema.open_journal(path)
        connection.set_trace_callback(asked.append)
        return connection

    return open_traced


def write_schema_1(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(_SCHEMA_1)
        db.execute(
            "insert into operations (id, phase, rollout_id, server_id, step, state, executions, started_at)"
            " values ('old', 'execute', 'r', 'web-1', 'write', 'started', 1, '2026-01-01T00:00:00+00:00')"
        )
        db.execute("pragma user_version = 1")
        db.commit()


async def test_a_row_says_whose_step_it_was(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    await journal.begin(operation(), boot_id="b")
    [entry] = await journal.list_started()
    await journal.close()
    assert (entry.rollout_id, entry.run_id, entry.server_id) == ("r", "run-of-r", "web-1")
    assert (entry.step, entry.step_index, entry.step_type) == ("write", 3, "file_write")
    assert (entry.phase, entry.ended_at) == ("execute", None)


async def test_a_journal_of_schema_1_is_taken_over_with_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    write_schema_1(path)
    journal = Journal(path)
    [entry] = await journal.list_started()
    assert (entry.id, entry.run_id, entry.step_index) == ("old", None, None)
    await journal.begin(operation(), boot_id="b")
    assert len(await journal.list_started()) == 2
    await journal.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("pragma user_version").fetchone()[0] == SCHEMA_VERSION


async def test_a_migration_that_fails_leaves_the_old_schema_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    write_schema_1(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("alter table operations add column step_type text")
        db.commit()
    journal = Journal(path)
    with pytest.raises(JournalUnavailable, match="duplicate column"):
        await journal.list_started()
    await journal.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("pragma user_version").fetchone()[0] == 1
        assert "run_id" not in [row[1] for row in db.execute("pragma table_info(operations)")]


async def test_a_journal_of_a_newer_kitsune_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"pragma user_version = {SCHEMA_VERSION + 1}")
    journal = Journal(path)
    with pytest.raises(JournalUnavailable, match="newer Kitsune"):
        await journal.find("x")
    await journal.close()
    with pytest.raises(JournalUnavailable, match="newer Kitsune"):
        read_journal(path, limit=1)


async def test_the_newest_rows_are_read_beside_the_agent_that_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    for step in ("one", "two", "three"):
        await journal.begin(operation(step, rollout=step), boot_id="b")
    assert [entry.step for entry in read_journal(path, limit=2)] == ["three", "two"]
    assert [entry.step for entry in read_journal(path, limit=9, rollout_id="one")] == ["one"]
    await journal.close()
    assert len(read_journal(path, limit=9)) == 3


def test_looking_at_an_old_journal_does_not_migrate_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    write_schema_1(path)
    [entry] = read_journal(path, limit=9)
    assert (entry.id, entry.run_id) == ("old", None)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("pragma user_version").fetchone()[0] == 1


def test_looking_where_there_is_no_journal_creates_none(tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailable, match="there is no journal"):
        read_journal(tmp_path / "journal.sqlite", limit=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("made_by", ["this Kitsune", "one without the index"])
async def test_what_runs_is_found_without_reading_the_whole_journal(
    tmp_path: Path, made_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.sqlite"
    for _again in range(2):
        journal = Journal(path)
        await journal.begin(operation(), boot_id="b")
        await journal.close()
        if made_by == "one without the index":
            with closing(sqlite3.connect(path)) as db:
                db.execute("drop index started")
            made_by = "this Kitsune"
    asked: list[str] = []
    monkeypatch.setattr(journal_module, "open_journal", traced(asked))
    journal = Journal(path)
    await journal.look("some-operation")
    await journal.list_started()
    await journal.close()
    looks = [sql for sql in asked if "state = 'started'" in sql]
    assert len(looks) == 2
    with closing(sqlite3.connect(path)) as db:
        for sql in looks:
            [how] = db.execute(f"explain query plan {sql}")
            # An index of only what has begun and not ended.
            assert how[-1].endswith("USING INDEX started")


async def test_a_disk_without_room_for_the_index_does_not_stop_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_schema, "_INDEX", "create index started on nothing (id)")
    journal = Journal(tmp_path / "journal.sqlite")
    await journal.begin(operation(), boot_id="b")
    assert len(await journal.list_started()) == 1
    await journal.close()
