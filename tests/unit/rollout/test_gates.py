"""After which batches a person is asked."""

import pytest

from kitsune.models.plan import RolloutStrategy
from kitsune.rollout.batches import split_into_batches
from kitsune.rollout.gates import gates_of

CANARY = {"type": "Canary", "canaryPercentage": 25, "batchSize": 1}
ONE_BY_ONE = {"type": "Sequential", "canaryPercentage": 50}


@pytest.mark.parametrize(
    ("strategy", "approval", "gates"),
    [
        (CANARY, "none", []),
        (CANARY, "afterCanary", ["canary"]),
        (CANARY, "everyBatch", ["canary", "batch-2", "batch-3"]),
        (ONE_BY_ONE, "afterCanary", ["canary"]),
        (ONE_BY_ONE, "everyBatch", ["batch-1", "canary", "batch-3"]),
        ({"type": "Rolling", "batchSize": 2}, "everyBatch", ["batch-1"]),
        ({"type": "Rolling", "batchSize": 2}, "afterCanary", []),
        ({"type": "Parallel"}, "everyBatch", []),
        ({"type": "Canary", "canaryPercentage": 100}, "afterCanary", []),
    ],
)
def test_there_is_a_gate_behind_each_batch_that_another_one_follows(strategy, approval, gates):
    batches = split_into_batches(list("abcd"), RolloutStrategy.model_validate(strategy))
    assert gates_of(batches, approval=approval) == gates
