"""A large rollout falls into shards: every server in one, none with servers of two batches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitsune.models.plan import Plan, RolloutStrategy
from kitsune.models.results import ServerResult, ServerStatus, StepOutcome, json_of
from kitsune.rollout.batches import split_into_batches
from kitsune.rollout.limits import MAX_IN_SHARD, is_sharded, json_size, shards_of, size_problems
from kitsune.rollout.shards import plan_of_shard, split_into_shards, windows, without_outputs


def plan_for(servers, **strategy):
    return Plan.model_validate(
        {
            "servers": [f"s{number}" for number in range(servers)],
            "steps": [{"name": "one", "type": "echo", "params": {"message": "hello"}}],
            "rolloutStrategy": strategy,
            "rollback": {"scope": "fleet", "maxConcurrency": 50},
        }
    )


@given(st.integers(1, 1500), st.integers(1, 700))
def test_every_server_is_in_one_shard_of_its_own_batch(servers, size):
    strategy = RolloutStrategy(type="Rolling", batch_size=size)
    batches = split_into_batches([f"s{number}" for number in range(servers)], strategy)

    shards = split_into_shards(batches)

    assert [server for shard in shards for server in shard.servers] == [
        server for batch in batches for server in batch.servers
    ]
    assert all(set(shard.servers) <= set(batches[shard.batch].servers) for shard in shards)
    assert max(len(shard.servers) for shard in shards) <= MAX_IN_SHARD
    assert [shard.number for shard in shards] == list(range(len(shards)))


@given(st.integers(1, 10_000), st.integers(1, 60))
def test_the_windows_never_add_up_to_more_than_the_limit(limit, shards):
    given_out = windows(limit, shards)
    assert 1 <= len(given_out) <= shards
    assert sum(given_out) <= limit
    assert sum(given_out) == min(limit, shards * MAX_IN_SHARD)
    assert windows(None, shards) == [MAX_IN_SHARD] * shards


@pytest.mark.parametrize(
    ("servers", "strategy", "sharded"),
    [
        (200, {}, False),
        (201, {}, True),
        (10_000, {"type": "Rolling", "batchSize": 30}, True),
        (1_000, {"type": "Sequential"}, False),
        (10_000, {"type": "Rolling", "batchSize": 20}, False),
    ],
)
def test_large_fleets_are_sharded_unless_their_batches_are_too_many(servers, strategy, sharded):
    assert is_sharded(plan_for(servers, **strategy)) is sharded


def test_a_large_fleet_in_too_many_batches_is_refused_with_a_size_that_works():
    (problem,) = size_problems(plan_for(10_000, type="Sequential"), plan_bytes=1)
    assert problem.path == "rolloutStrategy"
    assert "10,000 batches" in problem.message
    assert "of 26 servers or more" in problem.message
    assert size_problems(plan_for(10_000, type="Rolling", batchSize=26), plan_bytes=1) == []
    assert shards_of(plan_for(10_000)) == 50


def test_the_plan_of_a_shard_leaves_stopping_to_the_rollout():
    plan = plan_for(450, onStop="cancel", maxFailures=3)
    shard = split_into_shards(split_into_batches(plan.servers, plan.rollout_strategy))[2]

    part = Plan.model_validate(plan_of_shard(plan, shard, with_params=True, together=3))

    assert part.servers == [f"s{number}" for number in range(400, 450)]
    assert (part.rollout_strategy.max_failures, part.rollout_strategy.on_stop) == (-1, "cancel")
    assert part.rollback.max_concurrency == 16
    assert part.steps == plan.steps
    bare = Plan.model_validate(plan_of_shard(plan, shard, with_params=False, together=1))
    assert [step.params for step in bare.steps] == [{}]


def test_what_a_rollout_keeps_of_a_server_is_small():
    noisy = StepOutcome(name="x", success=True, outputs={"stdout": "y" * 10_000})
    failed = StepOutcome(name="z", success=False, error="e" * 5_000, index=1)
    good = ServerResult(server_id="a", success=True, steps_executed=[noisy])
    bad = ServerResult(
        server_id="b",
        success=False,
        status=ServerStatus.FAILED,
        error="e" * 5_000,
        steps_executed=[noisy] * 50 + [failed],
    )

    assert without_outputs(good).steps_executed == []
    kept = without_outputs(bad)
    assert kept.steps_executed[-1].name == "z"
    assert json_size(json_of(kept)) <= 2_048
