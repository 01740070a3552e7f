import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kitsune.agent.journal import Journal, Operation, read_journal
from kitsune.agent.retention import Retention, keep_tidy, parse_age, retention_of, tidy
from kitsune.errors import JournalUnavailable
from kitsune.models.results import StepOutcome

DONE = StepOutcome(name="write", success=True)
LATER = datetime.now(UTC) + timedelta(days=31)


def operation(rollout: str, index: int = 0) -> Operation:
    return Operation(
        rollout_id=rollout, run_id=rollout, server_id="web-1", step_index=index, step_name="s"
    )


def leave(state: Path, operation_id: str, *, size: int = 10) -> tuple[Path, Path]:
    undo, output = state / "undo" / operation_id, state / "operations" / operation_id
    for folder in (undo, output / "1"):
        folder.mkdir(parents=True)
        (folder / "content").write_bytes(b"x" * size)
    return undo, output


async def record(state: Path, *operations: Operation, ended: bool = True) -> None:
    journal = Journal(state / "journal.sqlite")
    for one in operations:
        await journal.begin(one, boot_id="b")
        if ended:
            await journal.end(one.id, DONE, final=True)
    await journal.close()


async def test_everything_of_an_old_operation_goes_at_once(tmp_path: Path) -> None:
    old = operation("old")
    await record(tmp_path, old)
    folders = leave(tmp_path, old.id)
    assert tidy(tmp_path, Retention()).removed == []
    done = tidy(tmp_path, Retention(), now=LATER)
    assert sorted(each.kind for each in done.removed) == ["journal", "output", "undo"]
    assert not any(folder.exists() for folder in folders)
    assert read_journal(tmp_path / "journal.sqlite", limit=9) == []


async def test_nothing_of_a_rollout_that_runs_something_here_goes(tmp_path: Path) -> None:
    done, running = operation("busy", 0), operation("busy", 1)
    await record(tmp_path, done)
    await record(tmp_path, running, ended=False)
    folders = [*leave(tmp_path, done.id), *leave(tmp_path, running.id)]
    assert tidy(tmp_path, Retention(output_limit=0), now=LATER).removed == []
    assert all(folder.exists() for folder in folders)
    assert len(read_journal(tmp_path / "journal.sqlite", limit=9)) == 2


async def test_the_oldest_output_goes_when_there_is_no_room_and_undo_records_stay(
    tmp_path: Path,
) -> None:
    operations = [operation("r", index) for index in range(3)]
    await record(tmp_path, *operations)
    kept = [leave(tmp_path, one.id, size=100_000) for one in operations]
    for age, (_, output) in enumerate(kept):
        for path in (output / "1" / "content", output / "1", output):
            os.utime(path, (age, age))
    done = tidy(tmp_path, Retention(output_limit=250_000))
    assert [(each.operation_id, each.reason) for each in done.removed] == [
        (operations[0].id, "size")
    ]
    assert [output.exists() for _, output in kept] == [False, True, True]
    assert all(undo.exists() for undo, _ in kept)


async def test_folders_that_no_row_speaks_of_go_once_they_are_old(tmp_path: Path) -> None:
    await record(tmp_path, operation("other"))
    folders = [*leave(tmp_path, "orphan"), tmp_path / "undo" / ".half.new"]
    folders[-1].mkdir()
    assert tidy(tmp_path, Retention(output_limit=0)).removed == []
    tidy(tmp_path, Retention(), now=LATER)
    assert not any(folder.exists() for folder in folders)


async def test_a_dry_run_says_the_same_and_removes_nothing(tmp_path: Path) -> None:
    old = operation("old")
    await record(tmp_path, old)
    folders = leave(tmp_path, old.id)
    said = tidy(tmp_path, Retention(), now=LATER, dry_run=True)
    assert all(folder.exists() for folder in folders)
    assert len(read_journal(tmp_path / "journal.sqlite", limit=9)) == 1
    assert said == tidy(tmp_path, Retention(), now=LATER)


async def test_cleaning_up_beside_an_agent_that_works_disturbs_neither(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")

    async def work() -> None:
        for index in range(100):
            await journal.begin(operation("new", index), boot_id="b")
            await journal.end(operation("new", index).id, DONE, final=True)

    working = asyncio.create_task(work())
    while not working.done():
        await asyncio.to_thread(tidy, tmp_path, Retention())
    await working
    assert len(read_journal(tmp_path / "journal.sqlite", limit=999)) == 100
    await asyncio.to_thread(tidy, tmp_path, Retention(), now=LATER)
    assert await journal.find(operation("new", 1).id) is None
    await journal.close()


def test_nothing_is_removed_when_the_journal_cannot_be_read(tmp_path: Path) -> None:
    folders = leave(tmp_path, "x")
    (tmp_path / "journal.sqlite").write_text("no database, but long enough to be taken for one" * 9)
    with pytest.raises(JournalUnavailable, match="cannot be cleaned up"):
        tidy(tmp_path, Retention(), now=LATER)
    assert all(folder.exists() for folder in folders)


async def test_an_agent_cleans_up_when_it_starts(tmp_path: Path) -> None:
    await record(tmp_path, operation("old"))
    keeping = asyncio.create_task(keep_tidy(tmp_path, Retention(age=timedelta(0))))
    while read_journal(tmp_path / "journal.sqlite", limit=9):
        await asyncio.sleep(0.01)
    keeping.cancel()


def test_ages_may_be_written_in_days() -> None:
    assert parse_age("30d") == timedelta(days=30)
    assert parse_age("90m") == timedelta(minutes=90)
    with pytest.raises(ValueError, match="not a duration"):
        parse_age("a month")


def test_the_environment_says_what_is_kept() -> None:
    environ = {"KITSUNE_UNDO_RETENTION": "7d", "KITSUNE_OUTPUT_LIMIT": "512MiB"}
    assert retention_of(environ) == Retention(timedelta(days=7), 512 * 1024**2)
    assert retention_of({}) == Retention(timedelta(days=30), 1024**3)
    with pytest.raises(ValueError, match="KITSUNE_OUTPUT_LIMIT: not a size: 'much'"):
        retention_of({"KITSUNE_OUTPUT_LIMIT": "much"})
