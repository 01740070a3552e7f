"""A large rollout falls into shards: every server in one, small batches whole, large ones in parts."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitsune.models.plan import Plan, RolloutStrategy
from kitsune.models.results import ServerResult, ServerStatus, StepOutcome, json_of
from kitsune.rollout.batches import split_into_batches
from kitsune.rollout.limits import MAX_GATES, MAX_IN_SHARD, is_sharded, json_size, size_problems
from kitsune.rollout.shards import (
    plan_of_shard,
    reports_allowed,
    split_into_shards,
    windows,
    without_outputs,
)
from kitsune.workflows.state import RolloutState


def plan_for(servers, **strategy):
    return Plan.model_validate(
        {
            "servers": [f"s{number}" for number in range(servers)],
            "steps": [{"name": "one", "type": "echo", "params": {"message": "hello"}}],
            "rolloutStrategy": strategy,
            "rollback": {"scope": "fleet", "maxConcurrency": 50},
        }
    )


sizes = st.integers(1, 700) | st.lists(st.integers(1, 300), min_size=1, max_size=5)
strategies = st.builds(
    RolloutStrategy,
    type=st.sampled_from(["Rolling", "Sequential", "Canary", "Parallel"]),
    batch_size=sizes,
    canary_percentage=st.sampled_from([0, 1, 10, 50]),
)


@given(st.integers(1, 1500), strategies)
def test_every_server_is_in_one_shard_in_the_order_of_the_batches(servers, strategy):
    batches = split_into_batches([f"s{number}" for number in range(servers)], strategy)

    shards = split_into_shards(batches)

    assert [server for shard in shards for server in shard.servers] == [
        server for batch in batches for server in batch.servers
    ]
    assert max(len(shard.servers) for shard in shards) <= MAX_IN_SHARD
    assert [shard.number for shard in shards] == list(range(len(shards)))
    for batch in batches:
        parts = [shard.servers_of(batch) for shard in shards if shard.has(batch)]
        assert tuple(itertools.chain(*parts)) == batch.servers
        assert len(batch.servers) > MAX_IN_SHARD or len(parts) == 1
        assert all(shard.canary == batch.canary for shard in shards if shard.has(batch))


@settings(deadline=None)
@given(st.integers(1, 10_000), strategies)
def test_there_are_never_many_shards(servers, strategy):
    batches = split_into_batches([f"s{number}" for number in range(servers)], strategy)
    assert len(split_into_shards(batches)) <= 2 * servers / MAX_IN_SHARD + 3


@given(st.integers(0, 200), st.integers(201, 10_000))
def test_the_reports_of_all_shards_stay_below_what_a_rollout_takes(ended, fleet):
    shards = 2 * fleet / MAX_IN_SHARD + 3
    assert 10 <= reports_allowed(ended, fleet=fleet) <= 10 + ended
    in_all = 10 * shards + (reports_allowed(200, fleet=fleet) - 10) * fleet / 200
    assert in_all < 7_000  # of 10,000 signals; the rest is for what a person is asked


@given(st.integers(1, 10_000), st.integers(1, 60))
def test_the_windows_never_add_up_to_more_than_the_limit(limit, shards):
    given_out = windows(limit, shards)
    assert 1 <= len(given_out) <= shards
    assert sum(given_out) <= limit
    assert sum(given_out) == min(limit, shards * MAX_IN_SHARD)
    assert windows(None, shards) == [MAX_IN_SHARD] * shards


@pytest.mark.parametrize(("servers", "sharded"), [(1, False), (200, False), (201, True)])
def test_fleets_that_one_history_does_not_hold_are_sharded(servers, sharded):
    assert is_sharded(plan_for(servers)) is sharded


@pytest.mark.parametrize(
    "strategy", [{}, {"type": "Sequential"}, {"type": "Rolling", "batchSize": 101}]
)
def test_ten_thousand_servers_may_come_in_any_batches(strategy):
    assert size_problems(plan_for(10_000, **strategy), plan_bytes=1) == []


def test_more_approvals_than_anybody_gives_are_refused():
    strategy = {"type": "Sequential", "approval": "everyBatch"}
    (problem,) = size_problems(plan_for(MAX_GATES + 2, **strategy), plan_bytes=1)
    assert problem.path == "rolloutStrategy.approval"
    assert problem.message.startswith("1,001 approvals")
    assert size_problems(plan_for(MAX_GATES + 1, **strategy), plan_bytes=1) == []


def part_of(plan, number, **more):
    shard = split_into_shards(split_into_batches(plan.servers, plan.rollout_strategy))[number]
    given_on = {"with_params": True, "together": 1} | more
    return Plan.model_validate(plan_of_shard(plan, shard, **given_on))


def test_the_plan_of_a_shard_leaves_stopping_to_the_rollout():
    plan = plan_for(450, onStop="cancel", maxFailures=3, progressDeadline="1h")

    part = part_of(plan, 2, together=3)

    assert part.servers == [f"s{number}" for number in range(400, 450)]
    assert (part.rollout_strategy.max_failures, part.rollout_strategy.on_stop) == (-1, "cancel")
    assert part.rollout_strategy.progress_deadline.total_seconds() == 3600
    assert part.rollback.max_concurrency == 16
    assert part.steps == plan.steps
    bare = part_of(plan, 2, with_params=False)
    assert [step.params for step in bare.steps] == [{}]


def state_of(plan):
    rollback = {"rolloutId": "r", "runId": "x"}
    undoing = Plan.model_validate(plan.model_dump(by_alias=True) | {"rollbackOf": rollback})
    return [
        RolloutState(plan=each, rollout_id="r", run_id="x", started_at=None)
        for each in (plan, undoing)
    ]


def test_a_shard_has_the_batches_of_its_rollout_in_the_same_order():
    sizes = [50, 100, 70]
    for state in state_of(plan_for(290, type="Rolling", batchSize=sizes, batchDelaySeconds=7)):
        part = part_of_state(state, 0)
        assert [batch.servers for batch in part.ledger.batches] == [
            batch.servers for batch in state.ledger.batches[:2]
        ]
        assert [batch.wait_after for batch in part.ledger.batches] == [7, 0]


def part_of_state(state, number):
    shard = split_into_shards(state.ledger.batches)[number]
    plan = plan_of_shard(state.plan, shard, with_params=True, together=1)
    return RolloutState(plan=Plan.model_validate(plan), rollout_id="r", run_id="x", started_at=None)


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
