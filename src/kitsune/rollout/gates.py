"""After which batches a rollout waits for a person, and what those gates are called."""

from collections.abc import Sequence

from kitsune.rollout.batches import Batch

CANARY = "canary"


def gate_after(batch: Batch, batches: Sequence[Batch], *, approval: str) -> str | None:
    """Return the id of the gate behind a batch, or None where the next one may simply start.

    Args:
        batch: The batch that has gone well.
        batches: All of them, in the order in which they run.
        approval: `none`, `afterCanary` or `everyBatch`.
    """
    if approval == "none" or batch is batches[-1]:
        return None
    if batch.canary and not batches[batch.index + 1].canary:
        return CANARY
    return f"batch-{batch.index + 1}" if approval == "everyBatch" else None


def gates_of(batches: Sequence[Batch], *, approval: str) -> list[str]:
    """Return every gate of a rollout, in order."""
    found = (gate_after(batch, batches, approval=approval) for batch in batches)
    return [gate for gate in found if gate is not None]
