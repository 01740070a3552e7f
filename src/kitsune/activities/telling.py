"""What a server's activities tell Temporal and the log: that they are alive, and how they failed."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any, NoReturn

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from kitsune import names
from kitsune.agent.journal import Operation
from kitsune.agent.work import Work
from kitsune.errors import KitsuneError
from kitsune.models.requests import StepRequest
from kitsune.models.results import StepOutcome, json_of

#: How often a running step tells Temporal that it is alive; the SDK sends at most one in two seconds.
_HEARTBEAT = timedelta(seconds=1)

logger = logging.getLogger("kitsune.agent")


def not_begun(operation: Operation, work: Work, error: KitsuneError) -> StepOutcome:
    """Return the outcome of a step that was not begun, and why."""
    return StepOutcome(
        name=operation.step_name,
        success=False,
        error=str(error),
        type=work.step_type,
        index=operation.step_index,
        status="failed",
        executions=0,
    )


def failure(outcome: StepOutcome, *, final: bool) -> ApplicationError:
    """Return an outcome as the failure of its activity; non-retryable, with the outcome in it, when it is final."""
    return ApplicationError(
        outcome.error or outcome.status,
        *([json_of(outcome)] if final else []),
        type=names.FAILURE_STEP_FAILED,
        non_retryable=final,
        category=ApplicationErrorCategory.BENIGN,  # an outcome, logged by us, not a stack trace
    )


def refuse(request: StepRequest, message: str) -> NoReturn:
    """Fail an activity for good before anything was done.

    Raises:
        ApplicationError: `StepFailed`.
    """
    outcome = StepOutcome(
        name=request.step.name,
        success=False,
        error=message,
        type=request.step.type,
        index=request.step.index,
        status="failed",
        executions=0,
    )
    step_log(request).warning("refused: %s", message)
    raise failure(outcome, final=True)


@contextlib.asynccontextmanager
async def heartbeats(details: Mapping[str, Any]) -> AsyncIterator[None]:
    """Tell Temporal, until the block ends, that a step is alive and how far it is; a local activity need not."""
    if activity.info().is_local:
        yield
        return

    async def beat() -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT.total_seconds())
            activity.heartbeat(dict(details))

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()


def step_log(request: StepRequest) -> "logging.LoggerAdapter[logging.Logger]":
    """Return a logger that says rollout, server and step."""
    return logging.LoggerAdapter(
        logger,
        {
            "rollout": request.rollout_id,
            "server": request.server_id,
            "step": request.step.name,
        },
    )
