"""Random faults from a printed seed; `--seed N` makes the same choices again."""

import random
import time

import pytest

from faults.random_faults import Siege

pytestmark = [pytest.mark.long, pytest.mark.faults, pytest.mark.timeout(1800)]

_MINUTES = 20


def test_random_faults_break_no_invariant(own_world, request, record_recovery):
    given = request.config.getoption("--seed")
    seed = random.SystemRandom().randrange(10**6) if given is None else given
    print(f"seed {seed}: make test-long PYTEST_ARGS='--seed {seed}'")
    siege = Siege(own_world, agents=4, ends_at=time.monotonic() + _MINUTES * 60)
    with record_recovery("L5", expected="every rollout ends, every invariant holds") as seen:
        siege.throw(seed=seed, rounds=4, actions=25)
        seen(f"seed {seed}: {siege.faults} faults, {siege.checked} rollouts")
    assert siege.checked
