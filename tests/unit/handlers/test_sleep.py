import asyncio

import pytest

from kitsune.errors import PlanRefused, StepFailed
from kitsune.handlers.sleep import SleepHandler
from kitsune.testing import HandlerBench


@pytest.fixture
def bench(tmp_path):
    return HandlerBench(SleepHandler(), state=tmp_path)


@pytest.fixture
def waits(monkeypatch):
    """Let no time pass; note what was asked for."""
    asked = []
    real = asyncio.sleep

    async def sleep(seconds):
        asked.append(seconds)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return asked


@pytest.mark.parametrize(
    ("written", "seconds"), [("1h30m", 5400), (0, 0), (2.5, 2.5), ("500ms", 0.5), ("7", 7)]
)
async def test_it_waits_as_long_as_it_is_told(bench, waits, written, seconds):
    assert await bench.execute({"duration": written}) == {"slept": seconds}
    assert waits == [seconds]
    await bench.rollback()


async def test_it_can_be_ended_while_it_waits(bench):
    with pytest.raises(StepFailed, match=r"timed out after 0\.01s"):
        await bench.execute({"duration": "1h"}, timeout="10ms")


@pytest.mark.parametrize("params", [{}, {"duration": "30 parsecs"}, {"duration": -1}, {"time": 1}])
async def test_other_params_are_refused(bench, params):
    with pytest.raises(PlanRefused, match="duration"):
        await bench.execute(params)
