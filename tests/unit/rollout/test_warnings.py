import pytest

from kitsune.models.plan import Plan
from kitsune.rollout.warnings import plan_warnings


def warnings_of(*, servers=10, steps=None, strategy=None, **written):
    return plan_warnings(
        Plan.model_validate(
            {
                "servers": [f"s{number}" for number in range(servers)],
                "steps": steps or [{"name": "a", "type": "echo"}],
                "rolloutStrategy": strategy or {},
                **written,
            }
        )
    )


@pytest.mark.parametrize(
    "strategy",
    [
        {},
        {"type": "Sequential"},
        {"type": "Rolling", "batchSize": 2, "batchDelaySeconds": 5, "maxFailures": "10%"},
        {"type": "Rolling", "batchSize": "25%", "maxConcurrency": 1},
        {"type": "Canary", "canarySoakSeconds": 5, "batchSize": [1, "50%"]},
        {"maxFailures": -1, "onStop": "cancel"},
    ],
)
def test_a_sensible_plan_has_no_warnings(strategy):
    assert warnings_of(strategy=strategy) == []


@pytest.mark.parametrize(
    ("strategy", "warning"),
    [
        ({"batchSize": 2}, "batchSize does nothing with type Parallel"),
        ({"type": "Sequential", "batchSize": 2}, "batchSize does nothing with type Sequential"),
        (
            {"type": "Rolling", "batchSize": "5%"},
            "5% of 10 servers is less than one: batches of 1",
        ),
        ({"batchDelaySeconds": 5}, "batchDelaySeconds does nothing: there is one batch"),
        (
            {"canarySoakSeconds": 5},
            "canarySoakSeconds does nothing: there is no canary (canaryPercentage is 0)",
        ),
        ({"maxFailures": 10}, "maxFailures 10 can never stop a rollout of 10 servers"),
        ({"maxFailures": "100%"}, "maxFailures 100% can never stop a rollout of 10 servers"),
        (
            {"maxFailures": "5%"},
            "maxFailures 5% of 10 servers is less than one: stops at the 1st failure",
        ),
        (
            {"type": "Canary", "canaryPercentage": 95},
            "the canary takes all 10 servers: nothing is left to protect",
        ),
        ({"maxConcurrency": 10}, "maxConcurrency 10 is never reached: the largest batch has 10"),
        (
            {"type": "Sequential", "onStop": "cancel"},
            "onStop cancel does nothing: servers run one at a time",
        ),
    ],
)
def test_what_does_nothing_or_is_hardly_meant_is_told(strategy, warning):
    assert warnings_of(strategy=strategy) == [warning]


def test_a_soak_that_nothing_follows_is_told():
    strategy = {"type": "Canary", "canarySoakSeconds": 5}
    assert warnings_of(servers=1, strategy=strategy) == [
        "the canary takes the only server: nothing is left to protect",
        "canarySoakSeconds does nothing: no batch follows the canary",
    ]


def test_more_servers_at_once_than_temporal_likes_are_told():
    assert warnings_of(servers=501) == ["a batch of 501 servers: at most 500 of them run at once"]
    assert warnings_of(servers=501, strategy={"maxConcurrency": 500}) == []


def test_two_steps_of_one_name_are_told():
    step = {"name": "a", "type": "echo"}
    assert warnings_of(steps=[step, step]) == [
        "2 steps are named 'a': only their position tells them apart"
    ]


def test_a_contradiction_of_required_and_continue_on_failure_is_told_where_both_were_written():
    step = {"name": "a", "type": "echo", "continueOnFailure": True}
    assert warnings_of(steps=[step]) == []
    assert warnings_of(steps=[{**step, "required": True}]) == [
        "steps[0] ('a'): continueOnFailure wins over required, its failure stops nothing"
    ]


def test_a_limit_for_a_rollback_that_never_comes_is_told():
    assert warnings_of(rollback={"maxConcurrency": 3}) == [
        "rollback.maxConcurrency does nothing without rollback.scope fleet"
    ]
    assert warnings_of(rollback={"maxConcurrency": 3, "scope": "fleet"}) == []
