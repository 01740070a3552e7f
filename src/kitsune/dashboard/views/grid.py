"""The grid of a rollout: one cell for each server, by batch."""

from collections.abc import Sequence
from dataclasses import dataclass

from kitsune.dashboard.views.batches import batch_title
from kitsune.dashboard.views.header import Count, counts_of
from kitsune.dashboard.views.looks import look_of, shown_state
from kitsune.dashboard.views.picture import BatchPicture, Picture

#: Beyond so many batches, neighbours share a group: headings would outnumber cells.
_GROUPS = 60
#: Up to so many servers cells have room for names, and for a sign that a finger can hit.
_NAMED, _ROOMY = 60, 800


@dataclass(frozen=True)
class Group:
    """Cells under one heading.

    Attributes:
        cells: Code of the state and server id, in the order in which servers are taken.
    """

    anchor: str
    title: str
    counts: tuple[Count, ...]
    cells: tuple[tuple[str, str], ...]


def grid_of(picture: Picture) -> list[Group]:
    """Return every server of a rollout as a cell."""
    batches = picture.batches
    if not batches:
        unknown = tuple((look_of("").code, server.server_id) for server in picture.servers)
        return [Group("batch-1", "All servers", (), unknown)] if unknown else []
    if len(batches) <= _GROUPS:
        return [_group([batch]) for batch in batches]
    size = -(-len(batches) // _GROUPS)
    return [_group(batches[start : start + size]) for start in range(0, len(batches), size)]


def size_of(picture: Picture) -> str:
    """Return how large cells are: `large` ones hold the server's name."""
    count = len(picture.servers)
    return "large" if count <= _NAMED else "middle" if count <= _ROOMY else "small"


def _group(batches: Sequence[BatchPicture]) -> Group:
    first, last = batches[0], batches[-1]
    title = batch_title(first)
    counts = dict(first.counts)
    if last is not first:
        title = f"Batches {first.index + 1} to {last.index + 1}"
        counts = {}
        for batch in batches:
            for state, count in batch.counts.items():
                counts[state] = counts.get(state, 0) + count
    cells = tuple(
        (look_of(shown_state(server)).code, server.server_id)
        for batch in batches
        for server in batch.servers
    )
    return Group(f"batch-{first.index + 1}", title, counts_of(counts), cells)
