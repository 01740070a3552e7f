"""Replays with traces on: they change no command, and tell nothing twice."""

from pathlib import Path

import pytest

from support.exported_spans import INTERCEPTORS, exported_spans
from support.replaying import load_history, replay

HISTORIES = sorted((Path(__file__).parent / "histories" / "0.2.0").glob("*.json"))
#: One of each kind, and some that have not ended.
SOME = [
    path
    for path in HISTORIES
    if path.name.split(".")[0] in {"sharded", "stopped", "rolled-back", "gate-unfinished"}
]


@pytest.mark.parametrize("path", SOME, ids=lambda path: path.stem)
async def test_a_history_without_traces_replays_with_them(path):
    exporter = exported_spans()
    await replay(load_history(path), interceptors=INTERCEPTORS)
    assert exporter.get_finished_spans() == ()


def test_there_is_something_to_replay():
    assert len(SOME) >= 5
