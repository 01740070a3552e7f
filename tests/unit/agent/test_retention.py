import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kitsune.agent.journal import Journal, Operation, read_journal
from kitsune.agent.retention import Retention, keep_tidy, parse_age, retention_of, tidy
from kitsune.errors import JournalUnavailable
from kitsune.models.results import StepOutcome

DONE = StepOutcome(name="write", success=True)
DAY = timedelta(days=1)
LATER = datetime.now(UTC) + timedelta(days=31)


AT_ONCE = Retention(age=timedelta(0))


def operation(rollout: str, index: int = 0, *, handed_out_for: timedelta = DAY) -> Operation:
    return Operation(
        rollout_id=rollout,
        run_id=rollout,
        server_id="web-1",
        step_index=index,
        step_name="s",
        deliverable_until=datetime.now(UTC) + handed_out_for,
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


async def test_an_agent_cleans_up_when_it_starts_and_keeps_what_is_not_over(
    tmp_path: Path,
) -> None:
    past = -timedelta(seconds=1)
    await record(tmp_path, operation("over", handed_out_for=past))
    await record(tmp_path, operation("open", handed_out_for=past))
    folders = leave(tmp_path, operation("open").id)
    asked: list[str] = []

    async def find_open(rollouts: Sequence[str]) -> set[str]:
        asked.extend(rollouts)
        return {"open"}

    keeping = asyncio.create_task(keep_tidy(tmp_path, AT_ONCE, find_open))
    while len(left := read_journal(tmp_path / "journal.sqlite", limit=9)) > 1:
        await asyncio.sleep(0.01)
    keeping.cancel()
    assert asked == ["over", "open"]
    assert [entry.rollout_id for entry in left] == ["open"]
    assert all(folder.exists() for folder in folders)


async def test_what_temporal_may_hand_out_again_is_kept_however_short_the_retention(
    tmp_path: Path,
) -> None:
    await record(tmp_path, operation("r", 0, handed_out_for=DAY / 2), operation("r", 1))
    folders = leave(tmp_path, operation("r").id)
    now = datetime.now(UTC)
    assert tidy(tmp_path, AT_ONCE, now=now + 0.9 * DAY).removed == []
    assert all(folder.exists() for folder in folders)
    # The rollout is kept as a whole: its undoing reads the rows of all its steps.
    gone = tidy(tmp_path, AT_ONCE, now=now + 1.1 * DAY).removed
    assert [each.kind for each in gone].count("journal") == 2


async def test_the_last_execution_says_how_long_a_row_is_needed(tmp_path: Path) -> None:
    await record(tmp_path, operation("r", handed_out_for=timedelta(0)), operation("r"))
    assert tidy(tmp_path, AT_ONCE, now=datetime.now(UTC) + DAY / 2).removed == []


@pytest.mark.parametrize("schema", [1, 2])
async def test_rows_of_an_older_kitsune_are_kept_for_two_days(tmp_path: Path, schema: int) -> None:
    await record(tmp_path, operation("old"))
    newer = {
        1: ["deliverable_until", "run_id", "step_index", "step_type"],
        2: ["deliverable_until"],
    }
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        for column in newer[schema]:
            db.execute(f"alter table operations drop column {column}")
        db.execute(f"pragma user_version = {schema}")
        db.commit()
    assert tidy(tmp_path, AT_ONCE, now=datetime.now(UTC) + DAY).removed == []
    assert len(tidy(tmp_path, AT_ONCE, now=datetime.now(UTC) + 3 * DAY).removed) == 1


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
