"""The last words of a running step are found in what its handler reports."""

import pytest

from kitsune.service.running import last_line


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
