"""The output of steps: from the server's own disk, and where that is away, what is known without it."""

import base64
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import Client

from kitsune import names
from kitsune.errors import ServerAway
from kitsune.models.logs import (
    LogList,
    LogListRequest,
    LogPage,
    LogRequest,
    LogSource,
    LogState,
)
from kitsune.models.results import StepOutcome
from kitsune.service.asking import PATIENCE, ask_server


async def ask_for_log(
    client: Client, request: LogRequest, *, patience: timedelta = PATIENCE
) -> LogPage:
    """Return a page of a step's output from the server's disk; raises as `ask_server`."""
    return await ask_server(
        client,
        names.READ_LOG,
        request,
        server_id=request.server_id,
        answer=LogPage,
        patience=patience,
    )


async def ask_for_list(
    client: Client, request: LogListRequest, *, patience: timedelta = PATIENCE
) -> LogList:
    """Return which output a server has of a rollout; raises as `ask_server`."""
    return await ask_server(
        client,
        names.LIST_LOGS,
        request,
        server_id=request.server_id,
        answer=LogList,
        patience=patience,
    )


def page_from_steps(request: LogRequest, steps: Sequence[StepOutcome], away: ServerAway) -> LogPage:
    """Return what Temporal knows of the output of a server that does not answer, from its steps that have ended."""
    page = LogPage(
        server_id=request.server_id,
        step=request.step,
        step_index=request.step_index,
        phase=request.phase,
        stream=request.stream,
        state=LogState.NONE,
        note=f"{away}; nothing is known here of this output",
        source=LogSource.NOWHERE,
        last_seen=away.last_seen,
    )
    step = _step_of(request, steps) if request.phase == "execute" else None
    if step is None:
        return page
    page = page.model_copy(
        update={
            "step": step.name,
            "step_index": step.index,
            "attempt": step.executions,
            "executions": step.executions,
        }
    )
    kept = step.outputs.get(request.stream)
    if not isinstance(kept, dict):
        return page
    return _page_of_text(page, kept, away)


def _page_of_text(page: LogPage, kept: Mapping[str, Any], away: ServerAway) -> LogPage:
    text = str(kept.get("text") or "").encode()
    size = int(kept.get("bytes") or 0)
    cut = bool(kept.get("truncated"))
    part = "its head and tail, as" if cut else "what"
    return page.model_copy(
        update={
            "state": LogState.KEPT,
            "source": LogSource.RESULT,
            "data": base64.b64encode(text).decode(),
            "size": size,
            "truncated": cut,
            "note": f"{away}; this is {part} the rollout's result has kept it",
        }
    )


def _step_of(request: LogRequest, steps: Sequence[StepOutcome]) -> StepOutcome | None:
    """Return the step that a request means: as on the server, the last one where none is named."""
    fitting = [
        step
        for step in steps
        if (not request.step or step.name == request.step)
        and (request.step_index is None or step.index == request.step_index)
    ]
    return fitting[-1] if fitting else None
