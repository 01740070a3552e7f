from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitsune.models.plan import RolloutStrategy
from kitsune.rollout.batches import canary_count, resolve_size, split_into_batches

TYPES = ["Parallel", "Sequential", "Rolling", "Canary"]
#: Shares as people write them: up to three decimals.
shares = st.integers(min_value=0, max_value=100_000).map(lambda thousandths: thousandths / 1000)
sizes = st.integers(min_value=1, max_value=300) | shares.map(lambda share: f"{share:.3f}%")


@st.composite
def strategies(draw):
    written = {
        "type": draw(st.sampled_from(TYPES)),
        "batchSize": draw(st.none() | sizes | st.lists(sizes, min_size=1, max_size=4)),
        "canaryPercentage": draw(st.none() | shares),
        "canarySoakSeconds": draw(st.sampled_from([0, 60])),
        "batchDelaySeconds": draw(st.sampled_from([0, 5])),
    }
    return RolloutStrategy.model_validate(written)


def fleet(count):
    return [f"s{number}" for number in range(count)]


def strategy(**written):
    return RolloutStrategy.model_validate(written)


def names(servers, **written):
    return [list(batch.servers) for batch in split_into_batches(servers, strategy(**written))]


def counts(count, **written):
    return [len(batch) for batch in names(fleet(count), **written)]


@given(count=st.integers(min_value=1, max_value=400), chosen=strategies())
def test_every_server_is_in_exactly_one_batch_and_in_order(count, chosen):
    batches = split_into_batches(fleet(count), chosen)
    assert [server for batch in batches for server in batch.servers] == fleet(count)
    assert all(batch.servers for batch in batches)
    assert [batch.index for batch in batches] == list(range(len(batches)))


@given(count=st.integers(min_value=1, max_value=400), chosen=strategies())
def test_canaries_come_first_and_are_the_share_rounded_up_at_least_one(count, chosen):
    batches = split_into_batches(fleet(count), chosen)
    canaries = sum(len(batch.servers) for batch in batches if batch.canary)
    percentage = chosen.canary_percentage
    if percentage is None:
        percentage = 10 if chosen.type == "Canary" else 0
    exact = count * Fraction(str(percentage)) / 100
    assert canaries == (0 if percentage == 0 else max(1, ceil(exact)))
    assert canaries == canary_count(count, chosen)
    kinds = [batch.canary for batch in batches]
    assert kinds == sorted(kinds, reverse=True)


@given(count=st.integers(min_value=1, max_value=5000), share=shares)
def test_a_batch_of_a_share_rounds_down_but_is_at_least_one(count, share):
    written = f"{share:.3f}%"
    exact = count * Fraction(written[:-1]) / 100
    assert resolve_size(written, count, least=1) == max(1, floor(exact))


@given(count=st.integers(min_value=1, max_value=400), chosen=strategies())
def test_waits_stand_between_batches_only_and_a_soak_after_the_last_canary_only(count, chosen):
    batches = split_into_batches(fleet(count), chosen)
    soak = chosen.canary_soak_seconds.total_seconds()
    delay = chosen.batch_delay_seconds.total_seconds()
    assert batches[-1].wait_after == 0
    for batch, following in pairwise(batches):
        soaks = batch.canary and not following.canary
        assert batch.wait_after == (max(soak, delay) if soaks else delay)


@given(count=st.integers(min_value=1, max_value=400), chosen=strategies())
def test_no_rolling_batch_is_larger_than_the_largest_size_written(count, chosen):
    if chosen.type != "Rolling":
        return
    written = chosen.batch_size if isinstance(chosen.batch_size, list) else [chosen.batch_size or 1]
    largest = max(resolve_size(size, count, least=1) for size in written)
    rest = [batch for batch in split_into_batches(fleet(count), chosen) if not batch.canary]
    assert all(len(batch.servers) <= largest for batch in rest)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"type": "Parallel"}, [10]),
        ({"type": "Parallel", "batchSize": 2}, [10]),
        ({"type": "Sequential"}, [1] * 10),
        ({"type": "Rolling"}, [1] * 10),
        ({"type": "Rolling", "batchSize": 4}, [4, 4, 2]),
        ({"type": "Rolling", "batchSize": "25%"}, [2] * 5),
        ({"type": "Rolling", "batchSize": "1%"}, [1] * 10),
        ({"type": "Rolling", "batchSize": [1, 2, "30%"]}, [1, 2, 3, 3, 1]),
        ({"type": "Canary"}, [1, 9]),
        ({"type": "Canary", "canaryPercentage": 15}, [2, 8]),
        ({"type": "Canary", "canaryPercentage": 0}, [10]),
        ({"type": "Canary", "batchSize": 5}, [1, 5, 4]),
        ({"type": "Parallel", "canaryPercentage": 30}, [3, 7]),
        ({"type": "Rolling", "batchSize": "50%", "canaryPercentage": 10}, [1, 5, 4]),
        ({"type": "Canary", "canaryPercentage": 100}, [10]),
    ],
)
def test_each_type_has_its_batches(written, expected):
    assert counts(10, **written) == expected


def test_sequential_canaries_go_one_by_one():
    batches = split_into_batches(fleet(4), strategy(type="Sequential", canaryPercentage=50))
    assert [(batch.servers, batch.canary) for batch in batches] == [
        (("s0",), True),
        (("s1",), True),
        (("s2",), False),
        (("s3",), False),
    ]
