"""Waiting: in active time, where what passes while a rollout is paused does not count, and between batches."""

import contextlib
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow

from kitsune.models.progress import Phase
from kitsune.rollout.batches import Batch
from kitsune.workflows.state import RolloutState


async def wait_active(
    state: RolloutState, condition: Callable[[], bool], *, patience: timedelta, summary: str
) -> bool:
    """Wait until a condition holds, or so much active time has passed; return whether it holds."""
    ends = state.clock.elapsed(workflow.now()) + patience
    while not condition():
        if state.paused:
            await workflow.wait_condition(lambda: condition() or not state.paused)
            continue
        left = ends - state.clock.elapsed(workflow.now())
        if left <= timedelta(0):
            return False
        try:
            await workflow.wait_condition(
                lambda: condition() or state.paused, timeout=left, timeout_summary=summary
            )
        except TimeoutError:
            continue
    return True


async def until_resumed(state: RolloutState) -> None:
    """Return when the rollout is not paused, or stops."""
    await workflow.wait_condition(lambda: not state.paused or state.stopped)


async def next_change(
    state: RolloutState, *, since: int | None = None, unless: Callable[[], bool] = lambda: False
) -> None:
    """Return when something has changed that may let a rollout go on.

    Args:
        state: The rollout, or a shard of it.
        since: What `state.changes` was when the caller last looked; None: now.
        unless: Returns as well as soon as this holds.
    """
    seen = state.changes if since is None else since
    await workflow.wait_condition(lambda: state.changes != seen or unless())


async def wait_after(state: RolloutState, batch: Batch, *, tell: Callable[[], None]) -> None:
    """Wait behind a batch for as long as the strategy says, or until the rollout stops."""
    if state.stopped or not batch.wait_after:
        return
    patience = timedelta(seconds=batch.wait_after)
    state.phase = Phase.SOAKING if batch.canary else Phase.WAITING
    state.wait_until = workflow.now() + patience
    tell()
    with contextlib.suppress(TimeoutError):
        await workflow.wait_condition(
            lambda: state.stopped, timeout=patience, timeout_summary=state.phase.value
        )
    state.wait_until = None
