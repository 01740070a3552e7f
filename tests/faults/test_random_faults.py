"""Random faults from a printed seed; `--seed N` makes the same choices again."""

import random

import pytest

from faults.random_faults import Machine

pytestmark = [pytest.mark.long, pytest.mark.faults, pytest.mark.timeout(1800)]


def test_random_faults_break_no_invariant(own_world, request, record_recovery):
    given = request.config.getoption("--seed")
    seed = random.SystemRandom().randrange(10**6) if given is None else given
    print(f"seed {seed}: make test-long PYTEST_ARGS='--seed {seed}'")
    machine = Machine(own_world, seed=seed, agents=4)
    with record_recovery("L5", expected="every rollout ends, every invariant holds") as seen:
        for _ in range(4):
            machine.round(actions=25)
        seen(f"seed {seed}: {machine.faults} faults, {machine.checked} rollouts")
    assert machine.checked
