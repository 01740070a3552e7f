"""Ends what a dead agent's execution left running."""

from datetime import timedelta

from kitsune.agent.journal import Entry
from kitsune.agent.proc import boot_id, process_start_time
from kitsune.agent.processes import end_tree

#: How long leftovers get between TERM and KILL.
_GRACE = timedelta(seconds=5)


async def end_leftovers(entry: Entry) -> list[int]:
    """End what a dead agent's execution left running; return what could not be ended."""
    if entry.boot_id != boot_id():
        return []
    root = entry.pid
    if root is not None and (
        entry.pid_start is None or process_start_time(root) != entry.pid_start
    ):
        root = None
    return await end_tree(entry.id, root, grace=_GRACE)
