import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitsune.models.sizes import check_batch_size, check_limit, percent_of


@pytest.mark.parametrize(
    ("written", "value"), [("25%", 25.0), ("0%", 0.0), ("100%", 100.0), ("12.5%", 12.5)]
)
def test_a_percentage_is_digits_and_a_sign(written, value):
    assert percent_of(written) == value


@pytest.mark.parametrize(
    "written",
    ["", "%", "101%", "-1%", "+1%", "1e1%", "1_0%", "10 %", " 10%", "10", "nan%", "٣%", "1.%"],
)
def test_nothing_else_is_a_percentage(written):
    assert percent_of(written) is None


@pytest.mark.parametrize("written", [1, 500, "25%", [1, 5, "25%"], ["10%"]])
def test_a_batch_size_is_a_count_a_share_or_a_list_of_them(written):
    assert check_batch_size(written) == written


@pytest.mark.parametrize("written", [0, -1, 1.0, True, None, "2", "all", [], [0], [[1]], {}])
def test_other_batch_sizes_are_refused_with_what_would_work(written):
    with pytest.raises(ValueError, match=re.escape('(write 2, "25%" or a list')):
        check_batch_size(written)


@pytest.mark.parametrize("written", [0, 3, -1, "10%"])
def test_a_limit_is_a_count_a_share_or_negative_for_none(written):
    assert check_limit(written) == written


@pytest.mark.parametrize("written", [0.5, True, None, "3", "-10%", []])
def test_other_limits_are_refused_with_what_would_work(written):
    with pytest.raises(ValueError, match=re.escape('(write 2, "10%", or -1 for no limit)')):
        check_limit(written)


@given(st.text(max_size=10))
def test_no_text_breaks_the_reading_of_percentages(text):
    value = percent_of(text)
    assert value is None or 0 <= value <= 100
