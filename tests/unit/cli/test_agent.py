import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kitsune.agent.journal import Journal, Operation
from kitsune.agent.proc import boot_id
from kitsune.agent.state import hold_state_folder
from kitsune.cli.main import kitsune
from kitsune.models.results import StepOutcome


def run(state: Path, *arguments: str) -> Result:
    environ = {"KITSUNE_STATE_DIR": str(state), "SERVER_ID": ""}
    return CliRunner().invoke(kitsune, ["agent", *arguments], env=environ)


def operation(
    index: int, name: str, *, deliverable_until: datetime = datetime(2026, 1, 1, tzinfo=UTC)
) -> Operation:
    return Operation(
        rollout_id="deploy-1",
        run_id="run",
        server_id="web-1",
        step_index=index,
        step_name=name,
        deliverable_until=deliverable_until,
    )


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    journal = Journal(tmp_path / "journal.sqlite")
    broken = StepOutcome(
        name="restart",
        success=False,
        error="exit code 3: no such unit\nmore",
        status="failed",
        outputs={"exitCode": 3},
    )
    await journal.begin(operation(0, "write"), boot_id=boot_id())
    await journal.end(operation(0, "write").id, StepOutcome(name="write", success=True), final=True)
    await journal.mark_undone(operation(0, "write").id)
    await journal.begin(operation(1, "restart"), boot_id=boot_id())
    await journal.end(operation(1, "restart").id, broken, final=True)
    await journal.begin(operation(2, "wait"), boot_id=boot_id())
    await journal.close()
    return tmp_path


async def test_the_journal_is_a_table_newest_first(state: Path) -> None:
    shown = run(state, "journal")
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert lines[0][:5] == ["STARTED", "ROLLOUT", "STEP", "PHASE", "STATE"]
    assert [line[3:6] for line in lines[1:]] == [
        ["wait", "execute", "started"],
        ["restart", "execute", "failed"],
        ["write", "execute", "undone"],
    ]
    assert "exit code 3: no such unit" in shown.stdout
    assert "more" not in shown.stdout


async def test_the_journal_as_json_holds_what_a_program_needs(state: Path) -> None:
    read = json.loads(run(state, "journal", "--rollout", "deploy-1", "-o", "json").stdout)
    wait, restart, write = read["operations"]
    assert (wait["state"], wait["endedAt"]) == ("started", None)
    assert (restart["exitCode"], restart["stepIndex"], restart["runId"]) == (3, 1, "run")
    assert write["undone"] is True


async def test_the_journal_can_be_looked_at_while_a_worker_holds_the_folder(tmp_path: Path) -> None:
    with hold_state_folder(tmp_path / "state") as folder:
        journal = Journal(folder / "journal.sqlite")
        await journal.begin(operation(0, "write"), boot_id="b")
        assert "write" in run(folder, "journal").stdout
        await journal.close()


def test_a_folder_without_a_journal_is_told_in_one_line(tmp_path: Path) -> None:
    shown = run(tmp_path, "gc")
    assert shown.exit_code == 2
    assert "no local worker has worked in" in shown.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_knows_no_server_says_how_to_name_one() -> None:
    shown = CliRunner().invoke(
        kitsune, ["agent", "journal"], env={"KITSUNE_STATE_DIR": "", "SERVER_ID": ""}
    )
    assert shown.exit_code == 2
    assert "--server-id" in shown.stderr


async def test_gc_says_what_it_removes_and_how_much(state: Path) -> None:
    journal = Journal(state / "journal.sqlite")
    outcome = StepOutcome(name="wait", success=True)
    await journal.end(operation(2, "wait").id, outcome, final=True)
    await journal.close()
    undo = state / "undo" / operation(0, "write").id
    undo.mkdir(parents=True)
    (undo / "content").write_bytes(b"x" * 5000)
    planned = run(state, "gc", "--older-than", "0s", "--dry-run")
    assert re.search(
        r"^would remove 3 journal rows, 1 undo record: \d+\.\d KiB$", planned.stdout, re.MULTILINE
    )
    assert undo.exists()
    done = json.loads(run(state, "gc", "--older-than", "0s", "-o", "json").stdout)
    assert 5000 <= done["bytes"] < 50_000
    assert not undo.exists()
    assert run(state, "gc").stdout == "nothing to remove\n"


async def test_gc_leaves_what_temporal_may_hand_out_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    written = operation(0, "write", deliverable_until=tomorrow)
    await journal.begin(written, boot_id=boot_id())
    await journal.end(written.id, StepOutcome(name="write", success=True), final=True)
    await journal.close()
    assert run(tmp_path, "gc", "--older-than", "0s").stdout == "nothing to remove\n"
    assert "write" in run(tmp_path, "journal").stdout


@pytest.mark.parametrize("age", ["soon", "-1d", "3 months"])
def test_an_age_that_is_none_is_refused(tmp_path: Path, age: str) -> None:
    assert run(tmp_path, "gc", "--older-than", age).exit_code == 2
