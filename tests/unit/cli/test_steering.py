"""What waits for an operator is told with the commands that decide, and who ordered what."""

import pytest
from rich.text import Text

from kitsune.cli.console import Glyphs
from kitsune.cli.events import events_between
from kitsune.cli.screen import Frame, draw, summary
from kitsune.cli.steering import hour, orders_lines, steering_lines
from kitsune.models.orders import Gate, OrderRecord
from kitsune.models.progress import Phase, ServerProgress


@pytest.fixture
def lines(noon):
    def tell(progress):
        found = steering_lines(progress, now=noon, glyphs=Glyphs())
        return [line.plain.rstrip() for line in found]

    return tell


def paused(noon, **fields):
    return OrderRecord(verb="pause", actor="anna@ops", at=noon, **fields)


def test_a_rollout_that_nobody_holds_up_says_nothing(lines, progress_of):
    assert lines(progress_of({"a": "running"})) == []


def test_a_pause_says_by_whom_since_when_and_why(lines, progress_of, noon):
    order = paused(noon, reason="lunch", detail="servers in flight finish")
    assert lines(progress_of({"a": "running"}, paused=True, orders=[order])) == [
        f"⚠ PAUSED by anna@ops since {hour(noon, noon)} (servers in flight finish): lunch",
        "  $ kitsune resume web-1",
    ]


def test_an_open_gate_is_told_with_the_command_that_opens_it(lines, progress_of, noon, after):
    gate = Gate(id="batch-2", opened_at=noon, until=after(3600))
    assert lines(progress_of({"a": "pending"}, phase=Phase.APPROVAL, gate=gate)) == [
        f"⚠ gate batch-2 waits for approval since {hour(noon, noon)}, stops at {hour(after(3600), noon)}",
        "  $ kitsune approve web-1 --gate batch-2",
    ]


def test_a_held_server_is_told_with_its_three_ways_out(lines, progress_of):
    held = ServerProgress(
        server_id="web-3", state="held", failed_step="deploy", error="exit code 3:\nbad"
    )
    assert lines(progress_of([held])) == [
        "? web-3 is held at step deploy",
        "    exit code 3:",
        "    bad",
        "  $ kitsune retry web-1 --server web-3",
        "  $ kitsune skip web-1 --server web-3",
        "  $ kitsune rollback web-1 --server web-3",
    ]


def test_rollbacks_that_wait_say_until_when(lines, progress_of, noon, after):
    progress = progress_of({"a": "rollbackPending", "b": "failed"}, rollback_until=after(60))
    assert lines(progress) == [f"◷ rollback waits for 1 server until {hour(after(60), noon)}"]


def test_the_commands_fit_on_a_narrow_terminal(progress_of, noon):
    gate = Gate(id="canary", opened_at=noon)
    progress = progress_of(
        {"a": "held"}, gate=gate, paused=True, rollout_id="web-2-14-0-k3v7qa", deadline=noon
    )
    drawn = draw(Frame(progress), now=noon, width=59, height=30, glyphs=Glyphs())
    text = "\n".join(line.plain for line in drawn)
    for command in ("resume web-2-14-0-k3v7qa", "approve web-2-14-0-k3v7qa --gate canary"):
        assert f"$ kitsune {command}" in text
    assert "$ kitsune rollback web-2-14-0-k3v7qa --server a" in text
    assert f"deadline {hour(noon, noon)}" in text
    assert text.splitlines()[-1].startswith("Ctrl-C")
    assert summary(progress, now=noon, width=59, glyphs=Glyphs())


def test_a_state_of_a_newer_kitsune_cannot_move_the_cursor(lines, progress_of):
    held = ServerProgress(server_id="a", state="held", error="\x1b[2J", failed_step="\x1b[1m")
    assert "\x1b" not in "\n".join(lines(progress_of([held])))


def test_orders_are_told_with_time_detail_person_and_reason(noon):
    order = OrderRecord(
        verb="set", actor="anna@ops", at=noon, reason="slow", detail="maxFailures 0 -> 2"
    )
    head, line = (Text.plain.fget(line) for line in orders_lines([order], now=noon))
    assert head.split() == ["WHEN", "ORDER", "BY", "WHY"]
    assert line.split() == [
        hour(noon, noon),
        "set",
        "maxFailures",
        "0",
        "->",
        "2",
        "anna@ops",
        "slow",
    ]
    assert orders_lines([], now=noon) == []


def test_orders_and_gates_are_events_once(progress_of, noon, after):
    before = progress_of({"a": "running"})
    gate = Gate(id="canary", opened_at=after(5))
    now = progress_of({"a": "running"}, orders=[paused(noon, reason="lunch")], gate=gate)
    order, opened = events_between(before, now, now=after(6))
    assert order.line == "2026-11-22T12:00:00Z pause by anna@ops: lunch"
    assert order.as_json("web-1")["verb"] == "pause"
    assert opened.line.endswith(
        "gate canary waits for approval: kitsune approve web-1 --gate canary"
    )
    assert events_between(now, now, now=after(7)) == []
    (closed,) = events_between(now, progress_of({"a": "running"}, orders=now.orders), now=after(8))
    assert (closed.quiet, closed.fields) == (True, {"gate": "canary", "state": "closed"})


def test_a_server_that_is_held_or_pending_is_an_event(progress_of, noon, after):
    held = ServerProgress(
        server_id="a", state="held", started_at=noon, error="bad", failed_step="deploy"
    )
    (event,) = events_between(progress_of({"a": "running"}), progress_of([held]), now=after(3))
    assert event.line == "2026-11-22T12:00:03Z a held: bad"
    assert event.fields["failedStep"] == "deploy"
