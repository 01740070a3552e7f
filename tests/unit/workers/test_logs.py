"""Logs: one line for people, one object for programs, nothing for the terminal to obey."""

import io
import json
import logging

import pytest

from kitsune.workers.logs import configure_logs


@pytest.fixture
def logged():
    """Log through our formats, and return what was written."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()

    def log(log_format, message, *args, error=None, **context):
        configure_logs(log_format, stream=stream)
        adapter = logging.LoggerAdapter(logging.getLogger("kitsune.agent"), context)
        adapter.warning(message, *args, exc_info=error)
        return stream.getvalue()

    yield log
    root.handlers[:], root.level = before


CONTEXT = {"rollout": "web-7f3k2a", "server": "server-1", "step": "deploy"}


def test_a_line_says_when_where_and_what(logged):
    line = logged("text", "exit code %d", 7, **CONTEXT)
    assert line.endswith("Z WARNING server-1 web-7f3k2a deploy: exit code 7\n")
    assert line.startswith("20")


def test_control_characters_are_escaped(logged):
    assert "\\x1b[2J\\r\\n" in logged("text", "bad \x1b[2J\r\n news")


def test_json_is_one_object_a_line(logged):
    written = logged("json", "exit\ncode", **CONTEXT)
    assert written.count("\n") == 1
    fields = json.loads(written)
    assert fields.pop("time").endswith("Z")
    assert fields == {
        "level": "warning",
        "logger": "kitsune.agent",
        "message": "exit\ncode",
        **CONTEXT,
    }


def test_a_stack_trace_stays_readable(logged):
    error = ValueError("no\x1b")
    assert "ValueError: no\\x1b" in logged("text", "broke", error=error)
    assert "ValueError" in logged("json", "broke", error=error)
