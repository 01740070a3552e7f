"""Tests of the handler, without Temporal."""

import pytest
from kitsune_symlink import SymlinkHandler

from kitsune.errors import PlanRefused, StepFailed
from kitsune.testing import HandlerBench


@pytest.fixture
def bench(tmp_path):
    return HandlerBench(SymlinkHandler(), state=tmp_path / "state")


@pytest.fixture
def link(tmp_path):
    return tmp_path / "current"


async def test_the_link_leads_to_the_release_and_back(bench, link):
    link.symlink_to("v1")
    outputs = await bench.execute({"path": str(link), "target": "v2"})
    assert outputs == {"changed": True, "previous": "v1"}
    assert str(link.readlink()) == "v2"
    await bench.rollback()
    assert str(link.readlink()) == "v1"


async def test_a_new_link_is_gone_again(bench, link):
    await bench.execute({"path": str(link), "target": "v1"})
    assert str(link.readlink()) == "v1"
    await bench.rollback()
    await bench.rollback()
    assert not link.is_symlink()


async def test_a_link_that_leads_there_already_is_not_touched(bench, link):
    link.symlink_to("v1")
    outputs = await bench.execute({"path": str(link), "target": "v1"})
    assert outputs == {"changed": False, "previous": "v1"}
    await bench.rollback()
    assert str(link.readlink()) == "v1"


async def test_a_step_that_runs_again_remembers_what_its_first_run_found(bench, link):
    link.symlink_to("v1")
    first = await bench.execute({"path": str(link), "target": "v2"})
    assert await bench.execute({"path": str(link), "target": "v2"}) == first
    await bench.rollback()
    assert str(link.readlink()) == "v1"


async def test_a_check_says_what_would_change_and_touches_nothing(bench, link):
    link.symlink_to("v1")
    found = await bench.check({"path": str(link), "target": "v2"})
    assert found.changes == [f"{link} leads to v1 → v2"]
    assert str(link.readlink()) == "v1"
    assert (await bench.check({"path": str(link), "target": "v1"})).status == "identical"


async def test_what_is_no_link_is_left_alone(bench, link):
    link.mkdir()
    with pytest.raises(StepFailed, match="is not a symbolic link"):
        await bench.execute({"path": str(link), "target": "v1"})
    assert link.is_dir()
    assert bench.undo is None


async def test_a_missing_folder_is_a_clear_failure(bench, link):
    with pytest.raises(StepFailed, match=r"cannot point .*: No such file or directory"):
        await bench.execute({"path": str(link / "deeper"), "target": "v1"})


@pytest.mark.parametrize("params", [{"path": "current", "target": "v1"}, {"path": "/current"}])
async def test_wrong_params_are_refused_before_anything_happens(bench, params):
    with pytest.raises(PlanRefused, match=r"params\.(path|target)"):
        await bench.execute(params)
