"""Bugs of ours in workflow code: they fail the workflow task, loudly and mendably, and never hang a rollout."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


def watched(
    work: Coroutine[Any, Any, None], break_with: Callable[[BaseException], None]
) -> "asyncio.Task[None]":
    """Begin work that nobody may be waiting for; `break_with` is told where it raises."""

    def note(task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            break_with(error)

    task = asyncio.create_task(work)
    task.add_done_callback(note)
    return task


def bug_of(error: BaseException) -> RuntimeError:
    """Return what to raise from a workflow for an error that should not be: never a failure of the workflow itself."""
    bug = RuntimeError(f"a bug in Kitsune: {error!r}")
    bug.__cause__ = error
    return bug
