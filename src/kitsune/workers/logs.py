"""Logs of the workers: lines for people, or one JSON object a line."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal, TextIO

from kitsune.models.printable import safe

LogFormat = Literal["text", "json"]

#: What our log calls attach, in the order in which it is shown.
_CONTEXT = ("server", "rollout", "step")


class TextFormatter(logging.Formatter):
    """`2026-11-22T20:31:04Z INFO server-1 web-7f3k2a deploy: exit code 7`; control characters are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, or more for a stack trace."""
        context = " ".join(str(getattr(record, key)) for key in _CONTEXT if hasattr(record, key))
        head = f"{_time_of(record)} {record.levelname} {context or record.name}"
        line = safe(f"{head}: {record.getMessage()}")
        return line + (
            "\n" + safe(self.formatException(record.exc_info), lines=True)
            if record.exc_info
            else ""
        )


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and what the message is about."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        fields = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {key: str(getattr(record, key)) for key in _CONTEXT if hasattr(record, key)}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def configure_logs(log_format: LogFormat, *, stream: TextIO | None = None) -> None:
    """Send this process's logs to stderr (or a stream) in the given form."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # The SDK tells of every failed step with a stack trace; we tell of it ourselves, in one line.
    logging.getLogger("temporalio.activity").setLevel(logging.ERROR)


def _time_of(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
