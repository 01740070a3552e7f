"""How the agent is told to run an operation."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from kitsune.agent.journal import Entry

#: Journals which process runs an execution.
Recorder = Callable[[int], Coroutine[Any, Any, None]]
#: Goes on with an execution that a dead agent has left.
Resume = Callable[[Entry, Recorder], Coroutine[Any, Any, Mapping[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Work:
    """How to run an operation.

    Attributes:
        execute: Runs one execution; told its number and a function that journals a process id.
        executions: How many executions may fail before the failure is final.
        idempotent: May run again after an execution of unknown outcome.
        timeout: How long one execution may take.
        left: What the handler leaves as outputs when it is ended by a timeout or a cancel.
        confirm: Asks, before anything new begins, whether it is still wanted; raises `NotWanted`.
        resume: Goes on with the execution of a dead agent; None where nothing outlives the agent. Told the row
            besides; raises `NothingLeft`.
    """

    execute: Callable[[int, Recorder], Coroutine[Any, Any, Mapping[str, Any]]]
    executions: int
    idempotent: bool
    timeout: timedelta
    step_type: str
    left: Mapping[str, Any] = field(default_factory=dict)
    confirm: Callable[[], Coroutine[Any, Any, None]] | None = None
    resume: Resume | None = None
