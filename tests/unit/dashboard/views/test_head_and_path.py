from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from kitsune.dashboard.views.batches import path_of
from kitsune.dashboard.views.header import BAR_WIDTH, bar_of, estimate, head_of
from kitsune.dashboard.views.looks import LOOKS
from kitsune.dashboard.views.picture import picture_of
from kitsune.models.orders import Gate
from support.rollouts import NOW, START, make_plan, make_progress, make_row


def _picture(plan, states, row=None, **changes):
    return picture_of(row or make_row(), progress=make_progress(plan, states, **changes), plan=plan)


def test_a_head_tells_time_batch_and_budget():
    plan = make_plan(4, type="Sequential")
    head = head_of(_picture(plan, ["succeeded", "running"], failures=1), now=NOW)
    facts = {fact.name: fact.text for fact in head.facts}
    assert facts["elapsed"] == "10:00"
    assert facts["batch"] == "2 of 4"
    assert facts["budget"] == "1 failure, 0 failures allowed"
    assert (head.ended, head.total) == (1, 4)


def test_a_wait_tells_when_it_ends():
    picture = _picture(
        make_plan(2), ["succeeded"], phase="soaking", wait_until=NOW + timedelta(seconds=65)
    )
    facts = {fact.name: fact.text for fact in head_of(picture, now=NOW).facts}
    assert facts["waits"] == "1:05 more, until 12:11:05 UTC"


def test_an_estimate_is_given_only_while_servers_end():
    plan = make_plan(4)
    assert estimate(_picture(plan, ["succeeded"] * 2), now=NOW) == "10 min"
    assert estimate(_picture(plan, ["running"] * 4), now=NOW) == ""
    assert estimate(_picture(plan, ["succeeded"], paused=True), now=NOW) == ""
    gate = Gate(id="canary", opened_at=NOW)
    assert estimate(_picture(plan, ["succeeded"], gate=gate), now=NOW) == ""


@given(st.dictionaries(st.sampled_from(sorted(LOOKS)), st.integers(0, 10_000)))
def test_a_bar_never_overflows_and_shows_every_state_that_began(counts):
    bar = bar_of(counts, total=sum(counts.values()))
    begun = [s for s, n in counts.items() if n and s not in ("pending", "notStarted")]
    assert len(bar) == len(begun)
    assert sum(part.width for part in bar) <= BAR_WIDTH
    assert all(part.width > 0 for part in bar)
    assert [part.x for part in bar] == sorted(part.x for part in bar)


def test_a_path_goes_from_batch_to_gate_to_batch():
    plan = make_plan(3, type="Sequential", approval="everyBatch", batchDelaySeconds=30)
    gate = Gate(id="batch-1", opened_at=START)
    stops = path_of(_picture(plan, ["succeeded"], phase="approval", gate=gate), now=NOW)
    assert [(stop.kind, stop.state) for stop in stops] == [
        ("batch", "done"),
        ("wait", "next"),
        ("gate", "now"),
        ("batch", "next"),
        ("wait", "next"),
        ("gate", "next"),
        ("batch", "next"),
    ]
    assert stops[2].text == "waits since 12:00:00"


def test_a_gate_that_was_passed_is_approved():
    plan = make_plan(2, type="Sequential", approval="everyBatch")
    stops = path_of(_picture(plan, ["succeeded", "running"]), now=NOW)
    assert (stops[1].text, stops[1].state) == ("approved", "done")


def test_of_many_batches_only_those_around_the_current_one_are_shown():
    plan = make_plan(100, type="Sequential")
    stops = path_of(_picture(plan, ["succeeded"] * 50 + ["running"]), now=NOW)
    assert stops[0].title == "46 batches"
    assert stops[-1].title == "45 batches"
    assert any(stop.title == "Batch 51" and stop.state == "now" for stop in stops)


def test_a_batch_says_how_many_failed_and_how_many_are_held():
    plan = make_plan(4, type="Rolling", batchSize=3)
    first = path_of(_picture(plan, ["failed", "held", "succeeded"]), now=NOW)[0]
    assert first.text == "2 of 3, 1 failed, 1 held"
    assert first.state == "bad"


def test_one_batch_is_no_path():
    assert path_of(_picture(make_plan(3), ["running"]), now=NOW) == []


def test_a_bare_row_has_a_head_too():
    head = head_of(picture_of(make_row(counts={"succeeded": 2}, total=5)), now=NOW)
    assert (head.total, head.sign.word) == (5, "running")
