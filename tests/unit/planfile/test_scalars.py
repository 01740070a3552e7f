import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitsune.planfile.scalars import integer, resolve


@pytest.mark.parametrize("word", ["", "~", "null", "Null", "NULL"])
def test_some_words_mean_nothing(word):
    assert resolve(word) is None


@pytest.mark.parametrize(
    ("word", "value"),
    [("true", True), ("True", True), ("TRUE", True), ("false", False), ("FALSE", False)],
)
def test_some_words_are_truth_values(word, value):
    assert resolve(word) is value


@pytest.mark.parametrize(
    ("word", "value"), [("0", 0), ("2", 2), ("-1", -1), ("2.5", 2.5), ("2.0", 2.0), ("-0.5", -0.5)]
)
def test_a_number_that_reads_back_as_written_is_a_number(word, value):
    assert resolve(word) == value
    assert type(resolve(word)) is type(value)


@pytest.mark.parametrize(
    "word",
    [
        "0644",
        "00",
        "-0",
        "+1",
        "1.10",
        "1.",
        ".5",
        "1e3",
        "12e4",
        "1E3",
        "0x1F",
        "0o17",
        "1_000",
        "0.1234567890123456789",
        ".inf",
        "-.Inf",
        ".nan",
        "NaN",
        "inf",
        "nan",
        "on",
        "off",
        "yes",
        "NO",
        "y",
        "tRue",
        "12:30",
        "2026-11-22",
        "1.2.3",
        "٣",
    ],
)
def test_everything_else_stays_the_text_that_was_written(word):
    assert resolve(word) == word


@given(st.text())
def test_no_word_changes_in_silence(word):
    value = resolve(word)
    if isinstance(value, bool) or value is None:
        assert word.lower() in {"", "~", "null", "true", "false"}
    else:
        assert str(value) == word


@given(st.integers(min_value=-(10**38), max_value=10**38))
def test_whole_numbers_come_back(number):
    assert resolve(str(number)) == number


def test_a_number_of_a_million_digits_stays_too_large_and_is_quick():
    assert integer("9" * 1_000_000) > 2**64
    assert integer("-" + "9" * 1_000_000) < -(2**64)
