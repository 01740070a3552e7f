import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitsune.models.printable import safe


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcode, 漢字", "plain, ünïcode, 漢字"),
        ("\x1b[2J\r", "\\x1b[2J\\r"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202eevil", "\\u202eevil"),
        ("\u2028", "\\u2028"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("a\u00a0b", "a\\xa0b"),
        ("[red]:tada:", "[red]:tada:"),
    ],
)
def test_what_a_terminal_might_obey_becomes_visible(text, shown):
    assert safe(text) == shown


def test_lines_stay_lines_where_they_are_wanted():
    assert safe("a\tb\r\nc\rd\x1b", lines=True) == "a       b\nc\nd\\x1b"


@given(st.text(alphabet=st.characters(codec=None)))
def test_whatever_comes_in_what_comes_out_can_be_printed(text):
    assert safe(text).isprintable()
    assert all(line.isprintable() for line in safe(text, lines=True).split("\n"))
    safe(text).encode()
