"""The stop rule and the order of servers, as properties and as plain cases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitsune.models.plan import RolloutStrategy
from kitsune.models.results import COUNTS_AS_FAILED, ServerStatus
from kitsune.rollout.ledger import Ledger
from kitsune.rollout.limits import failures_allowed

ENDS = st.sampled_from(
    [ServerStatus.SUCCEEDED, ServerStatus.FAILED, ServerStatus.UNREACHABLE, ServerStatus.UNKNOWN]
)
STRATEGIES = st.builds(
    lambda kind, size, canary, window, limit: RolloutStrategy.model_validate(
        {
            "type": kind,
            "batchSize": size,
            "canaryPercentage": canary,
            "maxConcurrency": window,
            "maxFailures": limit,
        }
    ),
    st.sampled_from(["Parallel", "Sequential", "Rolling", "Canary"]),
    st.one_of(st.integers(1, 7), st.just("25%"), st.just([1, 3, "50%"])),
    st.integers(0, 100),
    st.one_of(st.none(), st.integers(1, 5)),
    st.one_of(st.integers(-1, 6), st.sampled_from(["0%", "10%", "100%"])),
)


def walk(ledger, ends, order):
    """Play a whole rollout; return the servers in the order of their start, with what was known then."""
    starts = []
    for batch in ledger.batches:
        while not ledger.has_ended(batch):
            for server in ledger.startable(batch):
                starts.append((server, ledger.failures, ledger.stop_reason, batch))
                ledger.start(server)
            flying = list(ledger.in_flight)
            server = flying[order.pop() % len(flying)] if order else flying[0]
            ledger.end(server, ends[ledger.servers.index(server)])
    return starts


@st.composite
def rollouts(draw):
    servers = [f"s{n}" for n in range(draw(st.integers(1, 30)))]
    ends = draw(st.lists(ENDS, min_size=len(servers), max_size=len(servers)))
    order = draw(st.lists(st.integers(0, 100), max_size=60))
    return servers, draw(STRATEGIES), ends, order


@given(rollouts())
def test_no_server_starts_after_the_limit_was_passed(rollout):
    servers, strategy, ends, order = rollout
    allowed = failures_allowed(len(servers), strategy)
    for _, failures, stop_reason, _ in walk(Ledger(servers, strategy), ends, order):
        assert stop_reason is None
        assert allowed is None or failures <= allowed


@given(rollouts())
def test_servers_start_once_in_the_order_of_the_plan(rollout):
    servers, strategy, ends, order = rollout
    started = [server for server, *_ in walk(Ledger(servers, strategy), ends, order)]
    assert started == servers[: len(started)]


@given(rollouts())
def test_every_server_ends_in_exactly_one_status(rollout):
    servers, strategy, ends, order = rollout
    ledger = Ledger(servers, strategy)
    started = {server for server, *_ in walk(ledger, ends, order)}
    ledger.close()
    assert set(ledger.statuses) == set(servers)
    for server, end in zip(servers, ends, strict=True):
        assert ledger.statuses[server] is (end if server in started else ServerStatus.NOT_STARTED)


@given(rollouts())
def test_a_canary_failure_always_stops(rollout):
    servers, strategy, ends, order = rollout
    ledger = Ledger(servers, strategy)
    starts = walk(ledger, ends, order)
    canaries = [server for batch in ledger.batches if batch.canary for server in batch.servers]
    if any(ledger.statuses.get(server) in COUNTS_AS_FAILED for server in canaries):
        assert ledger.stop_reason is not None
        assert all(batch.canary for *_, batch in starts)


@given(rollouts())
def test_the_window_is_never_passed(rollout):
    servers, strategy, ends, _ = rollout
    ledger = Ledger(servers, strategy)
    for batch in ledger.batches:
        while not ledger.has_ended(batch):
            for server in ledger.startable(batch):
                ledger.start(server)
            assert len(ledger.in_flight) <= (strategy.max_concurrency or len(servers))
            server = next(iter(ledger.in_flight))
            ledger.end(server, ends[servers.index(server)])


@given(rollouts())
def test_it_runs_to_the_end_where_nothing_stops_it(rollout):
    servers, strategy, _, order = rollout
    ledger = Ledger(servers, strategy)
    starts = walk(ledger, [ServerStatus.SUCCEEDED] * len(servers), order)
    assert len(starts) == len(servers)
    assert ledger.stop_reason is None


def test_the_stop_rule_counts_after_every_server_not_at_the_end_of_a_batch():
    ledger = Ledger(
        list("abcd"),
        RolloutStrategy.model_validate({"type": "Parallel", "maxConcurrency": 2, "maxFailures": 0}),
    )
    batch = ledger.batches[0]
    for server in ledger.startable(batch):
        ledger.start(server)
    ledger.end("a", ServerStatus.FAILED)
    assert ledger.stop_reason == "1 server failed, 0 allowed (the last: a, failed)"
    assert ledger.startable(batch) == []
    assert not ledger.has_ended(batch)
    ledger.end("b", ServerStatus.SUCCEEDED)
    assert ledger.has_ended(batch)


@pytest.mark.parametrize("limit", [-1, 10])
def test_a_batch_in_which_nobody_answers_always_stops(limit):
    ledger = Ledger(
        list("abcd"),
        RolloutStrategy.model_validate({"type": "Rolling", "batchSize": 2, "maxFailures": limit}),
    )
    ledger.end("c", ServerStatus.UNREACHABLE)
    assert ledger.stop_reason is None
    ledger.end("d", ServerStatus.UNREACHABLE)
    assert ledger.stop_reason == "no server of batch 2 answered"


def test_one_server_that_may_be_left_out_does_not_stop_a_sequence():
    ledger = Ledger(list("ab"), RolloutStrategy.model_validate({"type": "Sequential"}))
    ledger.end("a", ServerStatus.SKIPPED)
    assert ledger.stop_reason is None


def test_a_canary_that_is_left_out_stops_the_rollout():
    ledger = Ledger(list("abcde"), RolloutStrategy.model_validate({"type": "Canary"}))
    ledger.end("a", ServerStatus.SKIPPED)
    assert ledger.stop_reason == "no server of batch 1 answered"


def test_the_first_reason_to_stop_stays():
    ledger = Ledger(list("ab"), RolloutStrategy())
    ledger.stop("aborted by anna")
    ledger.end("a", ServerStatus.FAILED)
    assert ledger.stop_reason == "aborted by anna"


def ledger_of(servers, strategy, **keys):
    return Ledger(list(servers), RolloutStrategy.model_validate(strategy), **keys)


@given(st.integers(1, 5), st.integers(0, 3), st.lists(st.tuples(st.booleans(), ENDS), max_size=20))
def test_nothing_starts_while_held_servers_could_be_one_failure_too_many(window, allowed, moves):
    ledger = ledger_of([f"s{n}" for n in range(20)], {"maxFailures": allowed})
    ledger.set_limits(max_failures=None, max_concurrency=window)
    for holds, end in moves:
        for server in ledger.startable(ledger.batches[0]):
            assert ledger.failures + len(ledger.held) <= allowed
            ledger.start(server)
        flying = [server for server in ledger.in_flight if server not in ledger.held]
        if not flying:
            break
        if holds:
            ledger.held.add(flying[0])
        else:
            ledger.end(flying[0], end)


def test_a_held_canary_lets_nothing_start_whatever_the_limit():
    ledger = ledger_of("abc", {"canaryPercentage": 66, "maxConcurrency": 1, "maxFailures": -1})
    (first, second) = ledger.batches[0].servers
    ledger.start(first)
    ledger.strategy = ledger.strategy.model_copy(update={"max_concurrency": 5})
    assert ledger.startable(ledger.batches[0]) == [second]
    ledger.held.add(first)
    assert ledger.startable(ledger.batches[0]) == []


def test_a_server_that_waits_for_its_agent_leaves_its_place_to_another():
    ledger = ledger_of("abc", {"maxConcurrency": 1})
    ledger.start("a")
    assert ledger.startable(ledger.batches[0]) == []
    ledger.aside.add("a")
    assert ledger.startable(ledger.batches[0]) == ["b"]
    ledger.start("b")
    assert not ledger.has_room
    ledger.end("b", ServerStatus.SUCCEEDED)
    assert ledger.has_room


def test_unreachable_servers_count_into_their_own_budget_only():
    ledger = ledger_of("abcde", {"maxFailures": 1}, max_unreachable="40%")
    ledger.end("a", ServerStatus.UNREACHABLE)
    ledger.end("b", ServerStatus.UNREACHABLE)
    ledger.end("c", ServerStatus.FAILED)
    assert (ledger.failures, ledger.stop_reason) == (1, None)
    ledger.end("d", ServerStatus.UNREACHABLE)
    assert ledger.stop_reason == "3 servers unreachable, 2 allowed (the last: d)"


def test_a_limit_that_is_passed_already_stops_the_rollout_when_it_is_set():
    ledger = ledger_of("abc", {"maxFailures": 2})
    ledger.end("a", ServerStatus.FAILED)
    ledger.set_limits(max_failures=1, max_concurrency=None)
    assert ledger.stop_reason is None
    ledger.set_limits(max_failures=0, max_concurrency=1)
    assert ledger.stop_reason == "1 server failed, 0 allowed from now on"


def part_of_a_fleet(servers="abcd", **strategy):
    ledger = Ledger(list(servers), RolloutStrategy.model_validate({"maxFailures": -1} | strategy))
    ledger.defers = True
    return ledger


def test_the_books_of_a_part_do_not_stop_it_but_start_nothing_until_the_whole_has_decided():
    ledger = part_of_a_fleet()
    ledger.allow(window=2, failures=0, unreachable=None)
    assert ledger.startable(ledger.batches[0]) == ["a", "b"]
    ledger.start("a")
    ledger.end("a", ServerStatus.FAILED)
    assert ledger.stop_reason is None
    assert ledger.doubt == "1 server failed, 0 allowed (the last: a, failed)"
    assert ledger.startable(ledger.batches[0]) == []

    ledger.allow(window=2, failures=0, unreachable=None)  # on its way before that was known
    assert ledger.startable(ledger.batches[0]) == []
    ledger.allow(window=2, failures=1, unreachable=None)
    assert ledger.startable(ledger.batches[0]) == ["b", "c"]


def test_a_part_counts_those_that_do_not_answer_apart_where_the_whole_does():
    ledger = part_of_a_fleet()
    ledger.allow(window=4, failures=0, unreachable=1)
    ledger.end("a", ServerStatus.UNREACHABLE)
    assert ledger.doubt is None
    ledger.end("b", ServerStatus.UNREACHABLE)
    assert ledger.doubt == "2 servers unreachable, 1 allowed (the last: b)"


def test_what_is_left_for_a_part_is_what_the_others_have_not_used_up():
    strategy = RolloutStrategy.model_validate({"maxFailures": 3})
    ledger = Ledger(list("abcdef"), strategy)
    ledger.end("a", ServerStatus.FAILED)
    ledger.end("b", ServerStatus.UNREACHABLE)
    ledger.end("c", ServerStatus.FAILED)
    assert ledger.left_for("cde") == (1, None)

    ledger = Ledger(list("abcdef"), strategy, max_unreachable=2)
    ledger.end("a", ServerStatus.FAILED)
    ledger.end("b", ServerStatus.UNREACHABLE)
    ledger.end("c", ServerStatus.UNREACHABLE)
    assert ledger.left_for("cde") == (2, 1)
    unlimited = Ledger(list("ab"), RolloutStrategy.model_validate({"maxFailures": -1}))
    assert unlimited.left_for("a") == (None, None)
