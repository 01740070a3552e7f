"""The last words of a running step are found in what its handler reports."""

import pytest

from kitsune.service.running import RunningStep, _tails, last_line


@pytest.mark.parametrize(
    ("details", "line"),
    [
        ({}, ""),
        ({"stdout": "one\ntwo\n"}, "two"),
        ({"stdout": "fine", "stderr": "oh no"}, "oh no"),
        ({"stdout": "fine", "stderr": " \n"}, "fine"),
        ({"stdout": {"text": "one\ntwo", "bytes": 7}}, "two"),
        ({"message": "half way"}, "half way"),
        ({"stderr": 7, "stdout": None}, ""),
    ],
)
def test_errors_are_told_before_output(details, line):
    assert last_line(details) == line


@pytest.mark.parametrize(
    ("summary", "phase", "index", "name"),
    [
        ("2/4 restart nginx (script)", "execute", 1, "restart nginx"),
        ("undo 1/4 a (b) 3/7 (file_write)", "rollback", 0, "a (b) 3/7"),
        ("wait (30s)", "execute", None, "wait (30s)"),
        ("", "execute", None, ""),
    ],
)
def test_a_running_step_is_known_by_its_summary(summary, phase, index, name):
    step = RunningStep("a", summary)
    assert (step.phase, step.index, step.name) == (phase, index, name)


def test_the_end_of_a_stream_is_taken_where_it_is_exact():
    said = {"stdout": {"text": "größe", "end": 100}, "stderr": {"text": "\ufffd", "end": 7}}
    tails = _tails({"tails": said})
    assert (tails["stdout"].start, tails["stdout"].data) == (93, "größe".encode())
    assert (tails["stderr"].start, tails["stderr"].data) == (7, b"")
    assert _tails({}) == _tails({"tails": "nonsense"}) == {}
