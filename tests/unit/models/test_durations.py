from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from kitsune.models.durations import LONGEST, Duration, format_duration, parse_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (0, 0),
        (5, 5),
        (2.5, 2.5),
        ("5", 5),
        ("2.5", 2.5),
        ("0", 0),
        ("30s", 30),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("500ms", 0.5),
        ("250us", 0.00025),
        ("250\u00b5s", 0.00025),
        ("250\u03bcs", 0.00025),
        (".5m", 30),
        ("1m1m", 120),
        (" 30s ", 30),
    ],
)
def test_a_duration_is_a_number_of_seconds_or_text_as_go_writes_it(written, seconds):
    assert parse_duration(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "30 parsecs",
        "s",
        "-5s",
        "+5s",
        "5s ago",
        "1e3",
        "٣s",
        "٣",
        "0x1F",
        "PT5M",
        None,
        True,
        [],
        {},
        float("nan"),
        float("inf"),
    ],
)
def test_anything_else_is_refused_with_what_would_work(written):
    with pytest.raises(ValueError, match=r"^not a duration: .*write 30s, 5m, 1h30m or a number"):
        parse_duration(written)


@pytest.mark.parametrize("written", [-1, -0.5, pytest.param(-(10**400), id="huge")])
def test_a_negative_number_is_refused_as_such(written):
    with pytest.raises(ValueError, match="cannot be negative"):
        parse_duration(written)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("9" * 400, id="digits"),
        pytest.param("9" * 400 + "h", id="hours"),
        "87601h",
        pytest.param(10**400, id="huge"),
        1e300,
    ],
)
def test_more_than_ten_years_are_refused_however_many_they_are(written):
    with pytest.raises(ValueError, match="longer than ten years"):
        parse_duration(written)


def test_a_long_text_is_not_repeated_whole_in_the_message():
    with pytest.raises(ValueError, match="not a duration") as refused:
        parse_duration("x" * 100_000)
    assert len(str(refused.value)) < 200


@given(st.integers(min_value=0, max_value=int(LONGEST.total_seconds())))
def test_whole_seconds_come_back_from_what_people_read(seconds):
    duration = timedelta(seconds=seconds)
    assert parse_duration(format_duration(duration)) == duration


@given(st.integers(min_value=0, max_value=59_999))
def test_milliseconds_under_a_minute_come_back_from_what_people_read(milliseconds):
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


@given(st.timedeltas(min_value=timedelta(0), max_value=LONGEST))
def test_every_duration_survives_the_wire(duration):
    adapter = TypeAdapter(Duration)
    assert adapter.validate_json(adapter.dump_json(duration)) == duration


@given(st.text(max_size=20) | st.floats() | st.integers() | st.none())
def test_whatever_is_written_is_a_duration_or_refused(written):
    try:
        duration = parse_duration(written)
    except ValueError:
        return
    assert timedelta(0) <= duration <= LONGEST


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (0.5, "0.5s"), (10, "10s"), (60, "1m"), (5400, "1h30m"), (3725, "1h2m5s")],
)
def test_people_read_short_forms(seconds, shown):
    assert format_duration(timedelta(seconds=seconds)) == shown
