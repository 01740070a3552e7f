"""The batches of a rollout as steps of a path, with the gates between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kitsune.dashboard.views.header import Segment, bar_of
from kitsune.dashboard.views.looks import FAILED
from kitsune.dashboard.views.picture import BatchPicture, Picture
from kitsune.dashboard.views.times import clock, hour
from kitsune.models.durations import format_duration

#: Batches that a path shows, around the current one.
_SHOWN = 9


@dataclass(frozen=True)
class Stop:
    """One stop on the path: a batch, a gate, a wait, or how many stops are left out.

    Attributes:
        kind: `batch`, `gate`, `wait` or `more`.
        state: `done`, `now`, `bad` or `next`.
        anchor: The batch's place in the grid.
    """

    kind: str
    title: str
    text: str
    state: str
    bar: tuple[Segment, ...] = ()
    anchor: str = ""


def path_of(picture: Picture, *, now: datetime) -> list[Stop]:
    """Return the stops of a rollout's path; of many batches, those around the current one."""
    batches = picture.batches
    if len(batches) <= 1:
        return []
    start, end = _window(len(batches), current=picture.current or 0)
    stops = []
    if start:
        stops.append(_more(start, done=all(batch.state == "done" for batch in batches[:start])))
    for batch in batches[start:end]:
        stops.append(_batch(batch))
        if batch is not batches[-1]:
            stops += _between(picture, batch, batches, now=now)
    if end < len(batches):
        stops.append(_more(len(batches) - end, done=False))
    return stops


def batch_title(batch: BatchPicture) -> str:
    """Return what a batch is called."""
    return f"Batch {batch.index + 1}{' (canary)' if batch.canary else ''}"


def _window(count: int, *, current: int) -> tuple[int, int]:
    start = max(0, min(current - _SHOWN // 2, count - _SHOWN))
    return start, min(count, start + _SHOWN)


def _more(count: int, *, done: bool) -> Stop:
    noun = "batch" if count == 1 else "batches"
    return Stop("more", f"{count:,} {noun}", "done" if done else "", "done" if done else "next")


def _batch(batch: BatchPicture) -> Stop:
    total = len(batch.servers)
    broken = sum(batch.counts.get(state, 0) for state in FAILED)
    waiting = batch.counts.get("pending", 0) + batch.counts.get("notStarted", 0)
    open_ = batch.counts.get("running", 0) + batch.counts.get("held", 0)
    ended = total - waiting - open_ if batch.state != "pending" else 0
    state = {"done": "done", "running": "now"}.get(batch.state, "next")
    text = f"{ended:,} of {total:,}" if batch.state != "pending" else f"{total:,} to come"
    if batch.counts.get("notStarted") == total:
        text, state = f"{total:,} not started", "next"
    if broken:
        text += f", {broken:,} failed"
    if held := batch.counts.get("held", 0):
        text += f", {held:,} held"
    return Stop(
        "batch",
        batch_title(batch),
        text,
        "bad" if broken else state,
        bar=bar_of(batch.counts, total=total),
        anchor=f"batch-{batch.index + 1}",
    )


def _between(
    picture: Picture, batch: BatchPicture, batches: Sequence[BatchPicture], *, now: datetime
) -> list[Stop]:
    """Return the waits behind a batch that is not the last."""
    following = batches[batch.index + 1]
    passed = following.state != "pending" and following.counts.get("notStarted", 0) == 0
    stops = []
    if batch.wait_after:
        long = format_duration(timedelta(seconds=batch.wait_after))
        here = picture.state in ("soaking", "waiting") and picture.current in (
            batch.index,
            following.index,
        )
        left = ""
        if here and picture.wait_until:
            left = f", {clock(picture.wait_until - now)} left"
        word = "Soak" if batch.canary else "Wait"
        stops.append(Stop("wait", word, f"{long}{left}", _state(passed=passed, here=here)))
    if batch.gate:
        here = picture.gate is not None and picture.gate.id == batch.gate
        text = "approved" if passed else "needs approval"
        if here and picture.gate:
            text = f"waits since {hour(picture.gate.opened_at, now)}"
        stops.append(Stop("gate", f"Gate {batch.gate}", text, _state(passed=passed, here=here)))
    return stops


def _state(*, passed: bool, here: bool) -> str:
    if here:
        return "now"
    return "done" if passed else "next"
