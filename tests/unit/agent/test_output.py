"""What is kept of a program's output."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitsune.agent.output import Output
from kitsune.agent.shim import RING, Spool


def captured(path, data, *, limit=1000, chunk=4096, cap=1 << 20):
    """Spool what a shim would, and read it as the agent does."""
    spool = Spool(str(path.parent), path.stem, cap)
    for start in range(0, len(data), chunk):
        spool.feed(data[start : start + chunk])
    spool.close()
    output = Output.read(path.parent, path.stem, limit=limit, size=spool.size)
    output.spool_error = spool.error
    return output


@pytest.fixture
def log(tmp_path):
    return tmp_path / "stdout.log"


def test_output_within_the_limit_is_kept_whole(log):
    tail = captured(log, b"one\ntwo\n").text()
    assert (tail.text, tail.bytes, tail.truncated) == ("one\ntwo\n", 8, False)


def test_output_of_exactly_the_limit_is_kept_whole(log):
    tail = captured(log, b"x" * 1000).text()
    assert (tail.text, tail.truncated) == ("x" * 1000, False)


def test_longer_output_keeps_head_and_tail_and_says_what_is_missing(log):
    data = b"".join(b"line %06d\n" % number for number in range(100_000))
    tail = captured(log, data).text()
    head, mark, end = tail.text.partition("… 1,199,064 bytes left out …\n")
    assert mark
    assert head.startswith("line 000000\nline 000001\n")
    assert end.endswith("line 099998\nline 099999\n")
    assert tail.truncated
    assert tail.bytes == 1_200_000
    assert len(tail.text.encode()) <= 1000


def test_no_character_is_cut_in_two(log):
    tail = captured(log, "aé漢🦊".encode() * 1000, chunk=7).text()
    assert "\ufffd" not in tail.text


def test_bytes_that_are_no_text_become_replacements(log):
    assert captured(log, b"ok \xff\xfe end").text().text == "ok \ufffd\ufffd end"


def test_replacements_count_against_the_limit(log):
    tail = captured(log, b"\xff" * 900).text()
    assert tail.truncated
    assert 900 < len(tail.text.encode()) <= 1000


@given(
    data=st.one_of(
        st.binary(max_size=3000), st.text(max_size=1500).map(lambda text: text.encode())
    ),
    limit=st.integers(0, 1200),
    chunk=st.integers(1, 999),
)
def test_the_text_fits_and_the_left_out_bytes_add_up(tmp_path_factory, data, limit, chunk):
    path = tmp_path_factory.getbasetemp() / "property.log"
    tail = captured(path, data, limit=limit, chunk=chunk).text()
    assert len(tail.text.encode()) <= limit
    assert tail.bytes == len(data)
    if not tail.truncated:
        assert tail.text == data.decode(errors="replace")
    assert path.read_bytes() == data


def test_the_file_holds_everything_up_to_the_cap(log):
    capture = captured(log, b"0123456789" * 1000, cap=4100)
    assert log.read_bytes() == (b"0123456789" * 1000)[:4100]
    assert capture.size == 10_000
    assert capture.spool_error is None


def test_the_file_is_for_the_agent_only(log):
    captured(log, b"secret")
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_new_execution_starts_its_file_anew(log):
    captured(log, b"of the first execution")
    captured(log, b"")
    assert log.read_bytes() == b""


def test_a_full_disk_ends_the_file_and_not_the_capture(log):
    log.symlink_to("/dev/full")
    capture = captured(log, b"x" * 10_000)
    assert capture.spool_error == "stdout.log is not whole: No space left on device"
    assert capture.text().bytes == 10_000


def test_what_a_file_lost_is_read_from_the_tail(log):
    log.symlink_to("/dev/full")
    assert captured(log, b"one\ntwo\n").text().text == "one\ntwo\n"


def test_beyond_the_cap_only_the_end_is_kept(log):
    captured(log, b"x" * 500_000 + b"the end", cap=1000)
    tail = log.with_suffix(".tail").read_bytes()
    assert tail.startswith(b"%020d\n" % 500_007)
    assert tail.endswith(b"xthe end")
    assert len(tail) == RING + 21
    assert captured(log, b"x" * 500_000 + b"the end", cap=1000).last_line(10) == "…the end"


def test_a_file_that_cannot_be_made_is_said_and_no_failure(tmp_path):
    spool = Spool(str(tmp_path / "nowhere"), "stdout")
    spool.feed(b"hello")
    spool.close()
    assert spool.error == "stdout.log is not whole: No such file or directory"
    assert Output.read(tmp_path / "nowhere", "stdout", limit=10).text().text == ""


def test_the_last_lines_are_whole_lines(log):
    capture = captured(log, b"".join(b"line %06d\n" % number for number in range(1000)))
    assert capture.last_lines(10, size=40) == "line 000997\nline 000998\nline 000999"
    assert capture.last_lines(2, size=1000) == "line 000998\nline 000999"
    assert capture.last_line() == "line 000999"


def test_a_last_line_that_is_too_long_shows_its_end(log):
    capture = captured(log, "漢".encode() * 3000)
    line = capture.last_lines(5, size=100)
    assert line == "…" + "漢" * 32
    assert len(line.encode()) <= 100


def test_a_progress_bar_shows_its_newest_state(log):
    assert captured(log, b"10%\r20%\r30%\r").last_line() == "30%"


def test_nothing_printed_has_no_last_line(log):
    assert captured(log, b"").last_line() == ""
    assert captured(log, b" \n\n").last_lines(10, size=100) == ""
