"""Waiting in active time: what passes while a rollout is paused does not count."""

from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow

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


async def next_change(state: RolloutState) -> None:
    """Return when something has changed that may let the rollout go on."""
    seen = state.changes
    await workflow.wait_condition(lambda: state.changes != seen)
