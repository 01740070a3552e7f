import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitsune.dashboard.views.ansi import Span, lines_of, plain


def test_colours_and_weights_become_classes():
    assert lines_of("\x1b[1;31mbad\x1b[0m news") == [(Span("bad", "a-f-red a-b"), Span(" news"))]
    assert lines_of("\x1b[92;44mx") == [(Span("x", "a-f-bright-green a-k-blue"),)]


def test_a_colour_goes_on_until_it_is_ended():
    assert lines_of("\x1b[32mone\ntwo\x1b[39m three") == [
        (Span("one", "a-f-green"),),
        (Span("two", "a-f-green"), Span(" three")),
    ]


@pytest.mark.parametrize(
    ("code", "classes"),
    [
        ("38;5;1", "a-f-red"),
        ("38;5;9", "a-f-bright-red"),
        ("38;5;196", "a-f-bright-red"),
        ("38;5;232", "a-f-black"),
        ("38;2;0;0;255", "a-f-bright-blue"),
        ("48;2;0;120;0", "a-k-green"),
        ("38;5", ""),
        ("38", ""),
        ("999", ""),
        ("", ""),
    ],
)
def test_more_colours_become_the_nearest_of_sixteen(code, classes):
    assert lines_of(f"\x1b[{code}mx") == [(Span("x", classes),)]


def test_what_moves_a_cursor_or_sets_a_title_is_dropped():
    assert plain("\x1b[2J\x1b[1;1Ha\x1b]0;title\x07b\x1b]8;;http://evil\x1b\\c\x1b[Kd") == "abcd"


def test_a_progress_bar_is_its_last_drawing():
    assert plain("10%\r50%\r100%\r\ndone") == "100%\ndone"


def test_other_control_characters_and_invisible_marks_are_shown():
    assert plain("a\x00b\u202ec\x1bZ") == "a\\x00b\\u202ec"
    assert plain("a\tb") == "a       b"


def test_markup_is_text():
    assert lines_of("<script>alert(1)</script>") == [(Span("<script>alert(1)</script>"),)]


def test_nothing_printed_is_no_line():
    assert lines_of("") == []
    assert lines_of("\n") == [()]


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("\x1b[;m0123456789\r\n\x07]")))
def test_whatever_is_printed_nothing_unprintable_is_left(text):
    for line in lines_of(text):
        for span in line:
            assert span.text.isprintable()
            assert set(span.classes) <= set("abcdefghijklmnopqrstuvwxyz- ")
