"""The live view never takes more than its screen, whatever its size, and leaves out what matters least."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitsune.cli.console import _ASCII as ASCII
from kitsune.cli.console import Glyphs
from kitsune.cli.controls import Ui
from kitsune.cli.screen import Frame, draw, shown_at_work, summary
from kitsune.cli.screen_head import clock
from kitsune.cli.screen_tree import RUNNING_SHOWN
from kitsune.models.orders import Gate
from kitsune.models.progress import BatchProgress, Phase, Progress, ServerProgress
from kitsune.service.running import RunningStep, Tail


@pytest.fixture
def drawn(after):
    def draw_it(frame, *, width=100, height=40, at=60):
        lines = draw(frame, now=after(at), width=width, height=height, glyphs=Glyphs())
        return [line.plain for line in lines]

    return draw_it


@pytest.fixture
def busy(progress_of, after):
    """A rollout of 40 servers in the middle of everything."""
    servers = [
        ServerProgress(server_id=f"done-{at}", state="succeeded", batch=0) for at in range(10)
    ]
    servers += [
        ServerProgress(
            server_id=f"broken-{at}",
            state="failed",
            batch=0,
            ended_at=after(at),
            error="step 'deploy': exit code 3:\nfirst\nsecond\nthird\nfourth",
            failed_step="deploy",
            rolled_back=True,
        )
        for at in range(5)
    ]
    servers += [
        ServerProgress(server_id=f"busy-{at}", state="running", batch=1, started_at=after(at))
        for at in range(20)
    ]
    servers += [ServerProgress(server_id=f"later-{at}", batch=2) for at in range(5)]
    return progress_of(
        servers,
        batch=1,
        batch_count=3,
        failures=5,
        limit_text="10 failures allowed (25% of 40 servers)",
        batches=[
            BatchProgress(index=0, canary=True, servers=15, ended=15, state="done"),
            BatchProgress(index=1, servers=20, state="running"),
            BatchProgress(index=2, servers=5),
        ],
    )


def test_a_drawing_tells_phase_batch_time_limit_counts_and_steps(drawn, busy):
    steps = {
        "busy-0": RunningStep(
            server_id="busy-0", step="2/4 restart nginx (script)", attempt=2, last_line="waiting"
        )
    }
    lines = drawn(Frame(progress=busy, steps=steps))
    assert lines[0] == "web-1  web"
    assert lines[1].startswith("RUNNING  batch 2/3  1:00  5 failed, 10 failures allowed")
    assert "10 ✔ succeeded  5 ✖ failed  20 ◌ running  5 · pending" in lines
    assert "⚠ batch 1/3 canary  15/15  5 failed" in lines
    assert "◌ batch 2/3  0/20  1:00" in lines
    assert "  ├ ◌ busy-0  1:00  2/4 restart nginx (script) (delivery 2)  waiting" in lines
    assert "  └ … 12 more at work" in lines
    assert "· batch 3/3  5 to come" in lines
    failed = lines.index("✖ 5 servers: broken-0, broken-1, broken-2 and 2 more  5 rolled back")
    assert lines[failed + 1 : failed + 4] == [
        "    step 'deploy': exit code 3:",
        "    … 2 lines between",
        "    third",
    ]
    assert lines[-1] == "Ctrl-C detaches; the rollout goes on"


def test_the_keys_that_make_sense_stand_at_the_bottom(drawn, busy):
    lines = drawn(Frame(progress=busy, keys=True))
    assert lines[-1] == "p pause  f failed  l logs  A abort  q detach  ? help"


def test_help_explains_the_keys_and_an_abort_is_asked_for(drawn, busy):
    text = "\n".join(drawn(Frame(progress=busy, keys=True, ui=Ui(help=True))))
    assert "  A  abort: asks once" in text
    assert "broken" not in text
    asked = drawn(Frame(progress=busy, keys=True, ui=Ui(asking=True)))
    assert asked[-2].startswith("Abort? y: yes")


def test_failed_only_names_every_server_and_keeps_every_line(drawn, busy):
    lines = drawn(Frame(progress=busy, ui=Ui(failed_only=True)))
    assert "    broken-0 broken-1 broken-2 broken-3 broken-4" in lines
    assert [line for line in lines if line.strip() in ("first", "second", "third", "fourth")] == [
        "    first",
        "    second",
        "    third",
        "    fourth",
    ]
    assert not any("busy" in line for line in lines)


def test_logs_show_the_last_lines_of_what_runs(drawn, busy):
    tail = Tail(30, b"one\ntwo\nthree\x1b[2J\n")
    step = RunningStep("busy-0", "2/4 build (script)", execution=1, tails={"stdout": tail})
    lines = drawn(Frame(progress=busy, steps={"busy-0": step}, ui=Ui(logs=True)))
    at = lines.index("◌ busy-0  2/4 build (script)")
    assert lines[at + 1 : at + 4] == ["    one", "    two", "    three\\x1b[2J"]
    assert "whole: kitsune logs web-1 SERVER -f" in lines
    none = drawn(Frame(progress=busy, ui=Ui(logs=True)))
    assert "no server at work has printed anything lately" in none


@pytest.mark.parametrize(
    ("ui", "shown"),
    [
        (Ui(help=True), ["  p  pause: nothing…", "  r  resume after a…", "… 6 more lines"]),
        (Ui(failed_only=True), ["Failures", "✖ 5 servers: broken…"]),
        (Ui(logs=True), ["no server at work h…"]),
    ],
    ids=["help", "failed only", "logs"],
)
def test_on_the_smallest_screen_what_was_asked_for_takes_the_place_of_the_top(
    drawn, busy, ui, shown
):
    lines = drawn(Frame(progress=busy, keys=True, ui=ui), width=20, height=5)
    assert lines[0] == "web-1  web"
    assert lines[1 : 1 + len(shown)] == shown
    assert lines[-1] == "q detach  ? help"
    assert len(lines) <= 5


def test_a_long_error_takes_two_rows_on_a_narrow_screen(drawn, progress_of, after):
    error = "step 'x': exit code 1: " + "a long story of what went wrong " * 3
    broken = ServerProgress(server_id="a", state="failed", ended_at=after(1), error=error)
    lines = drawn(Frame(progress=progress_of([broken])), width=40)
    at = lines.index("✖ 1 server: a")
    assert lines[at + 1] == "    step 'x': exit code 1: a long story"
    assert lines[at + 2].startswith("      of what went wrong a long story")
    assert lines[at + 2].endswith("…")


def test_many_batches_are_those_around_the_current_one_and_a_gate_has_its_place(
    drawn, progress_of, noon
):
    batches = [
        BatchProgress(index=n, servers=1, ended=1, state="done")
        if n <= 20
        else BatchProgress(index=n, servers=1)
        for n in range(40)
    ]
    servers = [ServerProgress(server_id=f"s{n}", batch=n) for n in range(40)]
    progress = progress_of(
        servers, batch=20, batch_count=40, batches=batches, gate=Gate(id="batch-21", opened_at=noon)
    )
    lines = [line.split("  ")[0] for line in drawn(Frame(progress=progress))]
    at = lines.index("✔ 18 batches done")
    assert lines[at : at + 8] == [
        "✔ 18 batches done",
        "✔ batch 19/40",
        "✔ batch 20/40",
        "✔ batch 21/40",
        "◷ gate batch-21",
        "· batch 22/40",
        "· batch 23/40",
        "· 17 batches to come",
    ]


def test_without_unicode_the_screen_is_ascii(busy, after):
    frame = Frame(progress=busy, keys=True, steps={"busy-0": RunningStep("busy-0", "1/1 x")})
    for width in (40, 80, 200):
        lines = draw(frame, now=after(60), width=width, height=30, glyphs=ASCII)
        assert "".join(line.plain for line in lines).isascii()


@pytest.mark.parametrize("width", [1, 20, 40, 60, 200])
@pytest.mark.parametrize("height", [1, 3, 8, 12, 24, 60])
def test_a_drawing_fits_its_screen(drawn, busy, width, height):
    note = "lost contact with Temporal at localhost:7233, retrying"
    for ui in (
        Ui(),
        Ui(help=True),
        Ui(asking=True),
        Ui(failed_only=True),
        Ui(logs=True, message="x"),
    ):
        lines = drawn(Frame(progress=busy, note=note, ui=ui, keys=True), width=width, height=height)
        assert 0 < len(lines) <= height
        assert all(len(line) <= width for line in lines)


@given(
    counts=st.dictionaries(
        st.sampled_from(["succeeded", "failed", "running", "unknown", "pending", "weird"]),
        st.integers(0, 3000),
    ),
    width=st.integers(1, 250),
)
def test_the_bar_is_never_longer_than_the_screen(counts, width):
    noon = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    progress = Progress(total=sum(counts.values()), counts=counts)
    lines = summary(progress, now=noon, width=width, glyphs=Glyphs())
    bars = [line.plain for line in lines if set(line.plain) <= set("█▓░") and line.plain]
    assert all(len(bar) <= min(60, width) for bar in bars)


def test_failures_stay_on_a_small_screen_and_show_their_error(drawn, busy):
    text = "\n".join(drawn(Frame(progress=busy), width=60, height=16))
    assert "5 servers: broken-0" in text
    assert "detaches" in text


def test_only_servers_with_a_line_of_their_own_are_asked_for_their_step(busy):
    assert shown_at_work(busy) == [f"busy-{at}" for at in range(RUNNING_SHOWN)]


def test_a_server_that_waits_says_for_whom_and_is_not_asked(drawn, progress_of):
    waiting = ServerProgress(server_id="a", state="waiting", error="waits for rollout 'other'")
    progress = progress_of([waiting])
    assert any("waits for rollout 'other'" in line for line in drawn(Frame(progress=progress)))
    assert shown_at_work(progress) == []


def test_a_soak_counts_down(drawn, progress_of, after):
    soaking = progress_of({"a": "succeeded"}, phase=Phase.SOAKING, wait_until=after(72))
    assert "next batch in 12s" in drawn(Frame(progress=soaking))[1]


def test_what_a_server_prints_cannot_move_the_cursor(drawn, progress_of):
    progress = progress_of({"a": "running"}, name="\x1b[2J", reason="\r\x1b[1A")
    steps = {"a": RunningStep(server_id="a", step="\x1b[0m", last_line="\x07\x1b]0;x\x07")}
    text = "\n".join(drawn(Frame(progress=progress, steps=steps, note="\x1b[3J")))
    assert "\x1b" not in text
    assert "\r" not in text
    assert "\x07" not in text


def test_a_rollout_of_which_nothing_is_known_yet_can_be_drawn(drawn):
    assert drawn(Frame(progress=Progress(rollout_id="web-1")))[0] == "web-1"


def test_clocks_read_like_clocks(noon, after):
    assert clock(noon, after(7)) == "0:07"
    assert clock(noon, after(3849)) == "1:04:09"
    assert clock(noon, after(-5)) == "0:00"
    assert clock(None, noon) == ""
