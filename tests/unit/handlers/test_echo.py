import pytest

from kitsune.errors import PlanRefused
from kitsune.handlers.echo import EchoHandler
from kitsune.testing import HandlerBench


async def test_it_logs_the_message_and_returns_it(tmp_path):
    bench = HandlerBench(EchoHandler(), state=tmp_path)
    assert await bench.execute({"message": "100 % sure: grüße"}) == {"message": "100 % sure: grüße"}
    assert bench.log_lines == ["100 % sure: grüße"]


async def test_there_is_nothing_to_undo(tmp_path):
    bench = HandlerBench(EchoHandler(), state=tmp_path)
    await bench.execute({"message": ""})
    await bench.rollback()
    assert bench.undo is None


@pytest.mark.parametrize("params", [{}, {"message": 5}, {"message": None}, {"mesage": "x"}])
async def test_other_params_are_refused(tmp_path, params):
    with pytest.raises(PlanRefused, match="message"):
        await HandlerBench(EchoHandler(), state=tmp_path).execute(params)
