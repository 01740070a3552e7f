"""What happened between two looks becomes events, each told once and in order."""

import pytest

from kitsune.cli.event_schema import COMMON, EVENTS
from kitsune.cli.events import Event, events_between, progress_at_end, stamp
from kitsune.models.orders import Gate, OrderRecord
from kitsune.models.progress import BatchProgress, Phase, Progress, ServerProgress


def texts(events):
    return [event.text for event in events if not event.quiet]


def test_nothing_is_told_before_a_plan_is_accepted(noon):
    assert events_between(None, Progress(rollout_id="web-1"), now=noon) == []


def test_the_first_look_tells_the_rollout_and_who_has_started(progress_of, after):
    server = ServerProgress(server_id="a", state="running", batch=0, started_at=after(1))
    first = progress_of([server, ServerProgress(server_id="b", batch=0)])
    assert texts(events_between(None, first, now=after(2))) == [
        "rollout web-1 (web): 2 servers in 1 batch, 0 failures allowed",
        "batch 1/1 started: 2 servers",
        "a started",
    ]


def test_the_same_look_again_tells_nothing(progress_of, noon):
    look = progress_of({"a": "running", "b": "failed"}, warnings=["mind the gap"])
    assert events_between(look, look, now=noon) == []


def test_a_server_that_was_too_quick_to_be_seen_running_still_starts_and_ends(progress_of, after):
    before = progress_of({"a": "pending"})
    gone = ServerProgress(
        server_id="a", state="succeeded", batch=0, started_at=after(1), ended_at=after(2)
    )
    found = events_between(before, progress_of([gone]), now=after(3))
    assert [(event.text, event.time) for event in found if event.kind == "server"] == [
        ("a started", after(1)),
        ("a succeeded", after(2)),
    ]


def test_a_failure_is_one_line_however_many_its_error_has(progress_of, after):
    failed = ServerProgress(
        server_id="server-4",
        state="failed",
        batch=0,
        started_at=after(1),
        ended_at=after(5),
        error="step 'deploy': exit code 3:\nnginx: \x1b[2Jgone",
        failed_step="deploy",
        rolled_back=True,
    )
    (event,) = events_between(
        progress_of({"server-4": "running"}), progress_of([failed]), now=after(6)
    )
    assert event.line == (
        "2026-11-22T12:00:05Z server-4 failed, rolled back: step 'deploy': exit code 3: | "
        "nginx: \\x1b[2Jgone"
    )
    assert event.as_json("web-1") == {
        "schema": "kitsune.event/v1",
        "time": "2026-11-22T12:00:05Z",
        "event": "server",
        "rolloutId": "web-1",
        "server": "server-4",
        "state": "failed",
        "batch": 0,
        "error": "step 'deploy': exit code 3:\nnginx: \x1b[2Jgone",
        "failedStep": "deploy",
        "rolledBack": True,
        "rollbackFailed": False,
        "rollbackPending": False,
    }


def test_a_server_that_is_undone_later_is_told_again(progress_of, after):
    done = ServerProgress(server_id="a", state="succeeded", ended_at=after(1))
    undone = done.model_copy(update={"rolled_back": True})
    found = events_between(progress_of([done]), progress_of([undone]), now=after(9))
    assert texts(found) == ["a succeeded, rolled back"]
    assert found[0].time == after(9)


def test_a_batch_is_done_after_its_last_server(progress_of, after):
    servers = [
        ServerProgress(
            server_id=name,
            state="succeeded",
            batch=0,
            started_at=after(1),
            ended_at=after(end),
        )
        for name, end in (("a", 2), ("b", 4))
    ]
    over = progress_of(
        servers,
        phase=Phase.SOAKING,
        wait_until=after(30),
        batches=[BatchProgress(index=0, canary=True, servers=2, ended=2, state="done")],
        batch_count=3,
    )
    before = progress_of({"a": "running", "b": "running"}, batch_count=3)
    assert texts(events_between(before, over, now=after(5))) == [
        "a succeeded",
        "b succeeded",
        "batch 1/3 (canary) done: 2 of 2 ended",
        "canary is good, soaking until 2026-11-22T12:00:30Z",
    ]


def test_a_stop_says_why(progress_of, noon):
    before = progress_of({"a": "running"})
    stopping = before.model_copy(update={"phase": Phase.STOPPING, "reason": "2 servers failed"})
    assert texts(events_between(before, stopping, now=noon)) == ["stopping: 2 servers failed"]


def test_a_server_that_waits_says_for_whom(progress_of, noon):
    waiting = ServerProgress(server_id="a", state="waiting", error="waits for rollout 'other'")
    found = events_between(progress_of({"a": "pending"}), progress_of([waiting]), now=noon)
    assert texts(found) == ["a waiting: waits for rollout 'other'"]


def test_servers_that_never_started_are_told_to_programs_only(progress_of, noon):
    found = events_between(
        progress_of({"a": "pending"}), progress_of({"a": "notStarted"}), now=noon
    )
    assert [event.quiet for event in found] == [True]


def test_the_end_tells_what_the_last_look_had_not_seen(progress_of, result_of, ended, after):
    last = progress_of({"a": "running", "b": "running"})
    result = result_of(ended("a"), ended("b", "failed", error="exit code 1"))
    found = events_between(last, progress_at_end(last, result), now=after(6))
    assert texts(found) == ["a succeeded", "b failed: exit code 1", "batch 1/1 done: 2 of 2 ended"]


def test_servers_that_a_large_result_leaves_out_have_succeeded(progress_of, result_of, ended):
    last = progress_of({"a": "running", "b": "running"})
    result = result_of(ended("b", "failed"))
    states = [server.state for server in progress_at_end(last, result).servers]
    assert states == ["succeeded", "failed"]


def test_times_are_utc_to_the_second(after):
    assert stamp(after(1.9)) == "2026-11-22T12:00:01Z"


def test_a_rollback_by_the_rollout_is_told_when_it_is_seen(progress_of, after):
    done = ServerProgress(
        server_id="a", state="succeeded", batch=0, started_at=after(1), ended_at=after(2)
    )
    undoing = done.model_copy(update={"state": "rollingBack"})
    undone = done.model_copy(update={"rolled_back": True})
    looks = [progress_of([server]) for server in (done, undoing, undone)]
    found = events_between(looks[0], looks[1], now=after(8))
    found += events_between(looks[1], looks[2], now=after(9))
    assert [(event.text, event.time) for event in found if event.kind == "server"] == [
        ("a rolling back", after(8)),
        ("a succeeded, rolled back", after(9)),
    ]


def test_a_rollout_that_was_over_before_it_could_be_seen_is_told_whole(result_of, ended, noon):
    result = result_of(ended("a", "failed", error="exit code 1"))
    texts_told = texts(
        events_between(None, progress_at_end(Progress(rollout_id="web-1"), result), now=noon)
    )
    assert any(text.startswith("a failed") for text in texts_told)
    assert "()" not in texts_told[0]


@pytest.fixture
def everything(progress_of, noon, after):
    """Two looks between which all kinds of events happen."""
    first = progress_of({"a": "running"}, gate=Gate(id="canary", opened_at=noon))
    failed = ServerProgress(server_id="a", state="failed", ended_at=after(3), error="x", batch=0)
    second = progress_of(
        [failed],
        phase=Phase.STOPPING,
        warnings=["mind the gap"],
        orders=[OrderRecord(verb="pause", actor="anna", at=after(2))],
        batches=[BatchProgress(index=0, servers=1, ended=1, state="done")],
    )
    return [
        *events_between(None, first, now=noon),
        *events_between(first, second, now=after(5)),
    ]


def test_every_event_has_exactly_the_keys_that_the_reference_names(everything):
    seen = {}
    for event in everything:
        told = event.as_json("web-1")
        assert COMMON.keys() <= told.keys()
        seen.setdefault(event.kind, set()).update(told.keys() - COMMON.keys())
    assert seen == {
        name: set(keys) for name, (_, keys) in EVENTS.items() if name not in ("contact", "result")
    }
    assert Event(everything[0].time, "contact", "", {}).as_json("r").keys() == COMMON.keys()
