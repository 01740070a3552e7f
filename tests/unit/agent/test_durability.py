"""What a power cut must not take: each thing is on the disk before the next one relies on it."""

import pytest

from kitsune.agent import reboots
from kitsune.agent.files import temporary_name
from kitsune.errors import StepFailed
from kitsune.handlers.file_write import FileWriteHandler
from kitsune.handlers.reboot import RebootHandler
from kitsune.testing import HandlerBench
from support.disk_log import disk_log

__all__ = ["disk_log"]


@pytest.fixture
def writing(tmp_path):
    (tmp_path / "config").write_text("old")
    return HandlerBench(FileWriteHandler(), state=tmp_path / "state")


async def test_what_was_is_kept_for_good_before_anything_takes_its_place(
    writing, tmp_path, disk_log
):
    await writing.execute({"path": str(tmp_path / "config"), "content": "new"})
    draft, temporary = (
        f"state/undo/.{writing.operation_id}.new",
        temporary_name(writing.operation_id),
    )
    disk_log.assert_order(
        "sync state",
        f"sync {draft}/content",
        f"sync {draft}/manifest.json",
        f"sync {draft}",
        f"rename {draft} state/undo/{writing.operation_id}",
        "sync state/undo",
        f"sync {temporary}",
        f"rename {temporary} config",
        "sync .",
    )


async def test_what_a_dead_agent_had_just_renamed_is_made_durable_by_the_next(
    writing, tmp_path, disk_log
):
    params = {"path": str(tmp_path / "config"), "content": "new"}
    await writing.execute(params)
    disk_log.events.clear()
    await writing.execute(params)
    disk_log.assert_order("sync state/undo", "sync .")


async def test_an_old_file_is_brought_back_for_good(writing, tmp_path, disk_log):
    await writing.execute({"path": str(tmp_path / "config"), "content": "new"})
    disk_log.events.clear()
    await writing.rollback()
    renamed = next(event for event in disk_log.events if event.startswith("rename"))
    temporary = renamed.split()[1]
    disk_log.assert_order(f"sync {temporary}", f"rename {temporary} config", "sync .")


async def test_a_restart_is_on_disk_with_the_way_to_it_before_the_host_is_asked(
    tmp_path, disk_log, monkeypatch
):
    async def ask(*_args, **_options):
        disk_log.note("the host is asked")

    monkeypatch.setattr(reboots, "_run", ask)
    bench = HandlerBench(RebootHandler(), state=tmp_path / "state")
    with pytest.raises(StepFailed, match="still up"):
        await bench.execute({}, timeout=1)
    spool = f"state/operations/{bench.operation_id}"
    disk_log.assert_order(
        f"sync {spool}/reboot.json.new",
        f"rename {spool}/reboot.json.new {spool}/reboot.json",
        f"sync {spool}",
        "sync state/operations",
        "sync state",
        "the host is asked",
    )
