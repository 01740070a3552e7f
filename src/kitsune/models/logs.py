"""The output that steps have left on a server: which there is, and pages of it."""

import base64
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from kitsune.models.base import WireModel

#: Bytes in one page at most: Temporal takes 2 MB in a payload, and people read from the start.
PAGE_BYTES = 256 * 1024
#: Steps in one listing at most, newest first.
LISTED = 500

Stream = Literal["stdout", "stderr"]


class LogState(StrEnum):
    """What there is of an output stream."""

    KEPT = "kept"
    """It is on the server's disk."""
    REMOVED = "removed"
    """It was, and has made room since."""
    NONE = "none"
    """The step keeps none: it is no script, or has not begun."""


class LogSource(StrEnum):
    """Where a page comes from."""

    SERVER = "server"
    """The server's own disk: every byte as it was."""
    RESULT = "result"
    """The rollout's result: as text, mostly only the head and the tail."""
    HEARTBEAT = "heartbeat"
    """The last that a running step was heard to say."""
    NOWHERE = "nowhere"
    """Nothing is known."""


class LogRequest(WireModel):
    """Input of ReadLog.

    Attributes:
        run_id: The rollout's first run id; empty: any rollout of that id.
        step: Name of the step; empty: by `step_index`, and without that the step that began last.
        phase: `execute` or `rollback`.
        attempt: Which execution, from 1; None: the last.
        offset: Byte to start at; below zero: so many bytes before the end.
        limit: Bytes wanted, at most `PAGE_BYTES`.
    """

    rollout_id: str
    server_id: str
    run_id: str = ""
    step: str = ""
    step_index: int | None = None
    phase: str = "execute"
    attempt: int | None = None
    stream: str = "stdout"
    offset: int = 0
    limit: int = PAGE_BYTES


class LogPage(WireModel):
    """Result of ReadLog: a piece of one output stream of one execution of a step.

    Attributes:
        step, step_index, phase, attempt: Whose output it is.
        executions: How often the step was executed, each time with output of its own.
        state: What there is of the stream; `note` says the rest in a sentence.
        data: The bytes, in base64; `content` gives them back.
        offset: Where in the stream they start; later than asked where `skipped` bytes before it are not kept.
        size: Bytes of the whole stream, as far as it has come.
        ended: Whether the step has ended: no more will come.
        truncated: The page is all that is known, and not the whole stream.
        last_seen: For an agent that does not answer: when Temporal last heard of it, by the agent's own clock.
    """

    server_id: str
    step: str = ""
    step_index: int | None = None
    phase: str = "execute"
    attempt: int = 0
    executions: int = 0
    stream: str = "stdout"
    state: LogState = LogState.KEPT
    note: str = ""
    data: str = ""
    offset: int = 0
    size: int = 0
    skipped: int = 0
    ended: bool = True
    truncated: bool = False
    source: LogSource = LogSource.SERVER
    last_seen: datetime | None = None

    @property
    def content(self) -> bytes:
        """The bytes of the page."""
        return base64.b64decode(self.data)

    @property
    def next_offset(self) -> int:
        """Where the next page starts."""
        return self.offset + len(self.content)

    @property
    def more(self) -> bool:
        """Whether the server has more already."""
        return self.source is LogSource.SERVER and self.next_offset < self.size


class LogListRequest(WireModel):
    """Input of ListLogs."""

    rollout_id: str
    server_id: str
    run_id: str = ""


class LogEntry(WireModel):
    """One step that has begun on a server.

    Attributes:
        phase: `execute` or `rollback`.
        status: As in a step's outcome, or `running`, or `interrupted` where its agent died.
        stdout, stderr: Bytes of the last execution's streams; None where the step keeps no output.
        state: What there is of them.
    """

    step: str
    step_index: int | None = None
    step_type: str = ""
    phase: str = "execute"
    status: str = "running"
    error: str | None = None
    executions: int = 1
    started_at: datetime | None = None
    ended_at: datetime | None = None
    stdout: int | None = None
    stderr: int | None = None
    state: LogState = LogState.KEPT


class LogList(WireModel):
    """Result of ListLogs: the steps of a rollout on a server, in the order in which they began."""

    server_id: str
    entries: list[LogEntry] = Field(default_factory=list)
    omitted: int = 0
    """Older ones that are left out."""
