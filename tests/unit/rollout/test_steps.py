"""Steps with the plan's defaults, and how large they are on their way."""

from datetime import timedelta

from kitsune.models.plan import Plan
from kitsune.rollout.steps import bytes_of_steps, resolve_steps

STEP = {"name": "say", "type": "echo", "params": {"message": "hello"}}


def plan(*steps, **keys):
    return Plan.model_validate({"servers": ["a"], "steps": list(steps), **keys})


def test_a_step_takes_the_plans_defaults():
    (step,) = resolve_steps(
        plan(STEP, stepTimeout="2m", retryPolicy={"maximumAttempts": 4, "initialInterval": 2})
    )
    assert step.timeout == timedelta(minutes=2)
    assert (step.maximum_attempts, step.initial_interval) == (4, timedelta(seconds=2))
    assert (step.backoff_coefficient, step.maximum_interval) == (2.0, timedelta(minutes=1))


def test_its_own_words_win_key_by_key():
    own = {**STEP, "timeout": 7, "retryPolicy": {"maximumAttempts": 2}}
    (step,) = resolve_steps(plan(own, retryPolicy={"maximumAttempts": 4, "initialInterval": 2}))
    assert step.timeout == timedelta(seconds=7)
    assert (step.maximum_attempts, step.initial_interval) == (2, timedelta(seconds=2))


def test_how_often_a_step_is_executed_is_left_to_its_handler():
    (step,) = resolve_steps(plan(STEP))
    assert step.maximum_attempts is None


def test_the_size_counts_what_is_sent_not_what_was_written():
    written = len(str(STEP))
    assert bytes_of_steps(plan(*[STEP] * 10)) > 10 * (written + 100)
