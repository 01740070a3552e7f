"""The live view never takes more than its screen, whatever its size, and leaves out what matters least."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitsune.cli.console import Glyphs
from kitsune.cli.screen import RUNNING_SHOWN, Frame, clock, draw, shown_at_work, summary
from kitsune.models.progress import BatchProgress, Phase, Progress, ServerProgress
from kitsune.service.running import RunningStep


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
        limit_text="25% of 40 servers: stops at the 11th failure",
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
    assert lines[1].startswith("RUNNING  batch 2/3  1:00  5 failures, 25% of 40 servers")
    assert "10 ✔ succeeded  5 ✖ failed  20 ◌ running  5 · pending" in lines
    assert "✔ batch 1/3 canary  15/15 ended" in lines
    assert "◌ busy-0  1:00  2/4 restart nginx (script) (delivery 2)  waiting" in lines
    assert "… 12 more at work" in lines
    assert "✖ broken-4  rolled back  step 'deploy': exit code 3:" in lines
    assert "    fourth" in lines
    assert lines[-1] == "Ctrl-C detaches; the rollout goes on"


@pytest.mark.parametrize("width", [1, 20, 40, 60, 200])
@pytest.mark.parametrize("height", [1, 3, 8, 12, 24, 60])
def test_a_drawing_fits_its_screen(drawn, busy, width, height):
    frame = Frame(progress=busy, note="lost contact with Temporal at localhost:7233, retrying")
    lines = drawn(frame, width=width, height=height)
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
    assert "broken-4" in text
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
    assert "12s left" in drawn(Frame(progress=soaking))[1]


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
