"""The contract between a step handler and the agent that runs it.

A handler is plain async Python; it knows nothing of Temporal.
It raises `StepFailed` for a failure that it understands; any other exception is a bug in the handler and fails the step too.
When the step times out or an operator aborts, the handler's coroutine is cancelled: clean up and let the
`asyncio.CancelledError` go on.
A handler whose work goes on without the agent says `survives`: when the agent stops, it is cancelled with
`ctx.letting_go()` true and leaves that work alone; the next agent calls `resume`.
"""

import builtins
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from kitsune.agent.undo import UndoKeeper, UndoRecord
from kitsune.errors import NothingLeft
from kitsune.models.base import WrittenModel
from kitsune.models.checks import CheckResult
from kitsune.models.requests import OUTPUT_LIMIT

Reversible = Literal["full", "partial", "none"]
Checkable = Literal["full", "partial", "none"]


class StepParams(WrittenModel):
    """Base of all params models: camelCase keys, unknown keys are errors."""


def sensitive(**options: Any) -> Any:
    """Return a field whose content never reaches a log; takes what `pydantic.Field` takes."""
    return Field(**options, json_schema_extra={"sensitive": True})


def shown_params(params: BaseModel) -> dict[str, Any]:
    """Return params for a log: what was written, sensitive fields as `***`, those of nested models as well."""
    shown: dict[str, Any] = {}
    for name, info in type(params).model_fields.items():
        if name not in params.model_fields_set:
            continue
        extra = info.json_schema_extra
        hidden = isinstance(extra, dict) and extra.get("sensitive")
        shown[info.alias or name] = "***" if hidden else _shown(getattr(params, name))
    return shown


def _shown(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return shown_params(value)
    if isinstance(value, list | tuple):
        return [_shown(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _shown(entry) for key, entry in value.items()}
    return value


@dataclass(frozen=True)
class RecordedProcess:
    """A process that a handler had journalled.

    Attributes:
        boot_id, pid, start_time: Which one; the process id alone may mean another one by now.
    """

    boot_id: str
    pid: int
    start_time: int | None


async def _forget_process(pid: int) -> None:
    """Stand in for the journal where nobody records processes."""


@dataclass(frozen=True, kw_only=True)
class StepContext:
    """What a handler is told about the step that it runs, and what it may ask the agent for.

    Attributes:
        operation_id: Names this step of this rollout on this server; the same for every delivery and execution.
        attempt: Which execution this is, from 1.
        timeout: How long this execution may take; the agent enforces it by cancelling.
        output_limit: Bytes of each output stream that belong into the result.
        spool: An existing folder of the operation, for logs and temporary files, where the handler `spools`.
        undo: Keeps, once per operation, what a rollback needs.
        log: A logger that already says rollout, server and step.
        report: Shows live progress (a small JSON mapping, such as the last line of output).
        leave_outputs: Takes the outputs of a step that is being ended by a timeout or an abort, before the
            handler lets the cancellation go on; anything else returns its outputs.
        refuse_conflicts: For `rollback`: what is not as the step left it is to be kept, and the rollback to fail.
        record_process: Journals the process id of something that must not run twice, once it is started.
        process: For `resume`: what `record_process` was told in this execution, or None.
        letting_go: Whether the handler is being cancelled because the agent stops: what goes on without the agent
            may go on.
    """

    rollout_id: str
    server_id: str
    step_name: str
    operation_id: str
    attempt: int
    timeout: timedelta
    spool: Path
    undo: UndoKeeper
    log: "logging.LoggerAdapter[logging.Logger]"
    output_limit: int = OUTPUT_LIMIT
    refuse_conflicts: bool = False
    report: Callable[[Mapping[str, Any]], None] = field(default=lambda _details: None)
    leave_outputs: Callable[[Mapping[str, Any]], None] = field(default=lambda _outputs: None)
    record_process: Callable[[int], Awaitable[None]] = field(default=_forget_process)
    process: RecordedProcess | None = None
    letting_go: Callable[[], bool] = field(default=lambda: False)


@dataclass(frozen=True, kw_only=True)
class CheckContext:
    """What a handler is told that shall say what a step would change.

    Attributes:
        timeout: How long the check may take; the agent enforces it by cancelling.
        reveal: Show content as well that not everybody on this server may read.
        log: A logger that already says server and step.
    """

    server_id: str
    step_name: str
    timeout: timedelta
    log: "logging.LoggerAdapter[logging.Logger]"
    reveal: bool = False


ParamsT = TypeVar("ParamsT", bound=BaseModel)


class StepHandler(ABC, Generic[ParamsT]):
    """Runs one step type.

    Class attributes:
        type: What `steps[].type` says.
        params_model: What `steps[].params` must look like; its docstring and fields make the reference page.
        idempotent: May run again after an unknown outcome; gives 3 executions by default instead of 1.
        quick: Done in milliseconds.
        spools: Uses `ctx.spool`; a handler that says False is spared the making of a folder.
        survives: Its work goes on when the agent dies, and `resume` finds it again.
        reversible: Whether rollback restores everything, a part, or nothing.
        checkable: Whether `check` knows everything that the step would change, a part, or nothing.
    """

    type: ClassVar[str]
    params_model: ClassVar[builtins.type[BaseModel]]
    idempotent: ClassVar[bool] = False
    quick: ClassVar[bool] = False
    spools: ClassVar[bool] = True
    survives: ClassVar[bool] = False
    reversible: ClassVar[Reversible] = "none"
    checkable: ClassVar[Checkable] = "none"

    @abstractmethod
    async def execute(self, params: ParamsT, ctx: StepContext) -> Mapping[str, Any]:
        """Do the step and return its outputs, a small JSON mapping.

        Raises:
            StepFailed: The step failed.
        """

    async def resume(self, params: ParamsT, ctx: StepContext) -> Mapping[str, Any]:
        """Go on with an execution that another agent has begun, and return its outputs like `execute`.

        Called instead of `execute` where the handler `survives`, with the same `attempt` and `spool`.

        Raises:
            NothingLeft: Nothing is left of it, and how far it came is not known.
            StepFailed: The step failed.
        """
        del params, ctx
        raise NothingLeft("its work does not outlive the agent")

    async def resume_rollback(
        self, params: ParamsT, undo: UndoRecord | None, ctx: StepContext
    ) -> None:
        """Go on with a rollback that another agent has begun, as `resume` does.

        Raises:
            NothingLeft: Nothing is left of it, and how far it came is not known.
            StepFailed: It could not be undone.
        """
        del params, undo, ctx
        raise NothingLeft("its work does not outlive the agent")

    async def check(self, params: ParamsT, ctx: CheckContext) -> CheckResult:
        """Say what the step would change as things are now; touch nothing.

        Called only where the handler is `checkable`, and from time to time: it may look, and must not write, lock or
        start anything that does.

        Raises:
            StepFailed: The step would fail; the text says why.
        """
        del params, ctx
        return CheckResult.unknown("it cannot be checked")

    async def rollback(self, params: ParamsT, undo: UndoRecord | None, ctx: StepContext) -> None:
        """Undo what `execute` did; `undo` is what it kept, or None where it kept nothing.

        Runs as an operation of its own: `ctx.spool` and `ctx.operation_id` are the rollback's.
        Called at most once to success, and also for an execution that failed half-way. Does nothing by default.

        Raises:
            StepFailed: It could not be undone.
        """

    def reversible_with(self, params: ParamsT) -> Reversible:
        """Return how much of a step with these params can be undone."""
        del params
        return self.reversible
