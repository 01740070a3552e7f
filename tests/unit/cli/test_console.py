import io
import json
import sys

import pytest
from rich.table import Table

from kitsune.cli.console import (
    WIDTH_OFF_TERMINAL,
    Glyphs,
    data_text,
    glyphs,
    print_json,
    print_line,
    stderr_console,
    stdout_console,
)


class Stream(io.TextIOWrapper):
    """A stream of bytes that says whether it is a terminal."""

    def __init__(self, *, terminal=False, encoding="utf-8"):
        super().__init__(io.BytesIO(), encoding=encoding)
        self._terminal = terminal

    def isatty(self):
        return self._terminal

    def content(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("NO_COLOR", "KITSUNE_NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def stdout(monkeypatch):
    def become(**options):
        stream = Stream(**options)
        monkeypatch.setattr(sys, "stdout", stream)
        return stream

    return become


def test_colour_is_for_terminals(stdout):
    on_terminal = stdout(terminal=True)
    print_line(stdout_console(), "x", style="red")
    assert "\x1b[31m" in on_terminal.content()
    elsewhere = stdout()
    print_line(stdout_console(), "x", style="red")
    assert elsewhere.content() == "x\n"


@pytest.mark.parametrize(
    ("name", "value"), [("NO_COLOR", "1"), ("KITSUNE_NO_COLOR", "1"), ("TERM", "dumb")]
)
def test_colour_can_be_refused(stdout, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    stream = stdout(terminal=True)
    print_line(stdout_console(), "x", style="red")
    assert "31m" not in stream.content()


def test_force_color_makes_no_terminal_of_a_file(stdout, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    stdout()
    assert not stdout_console().is_terminal
    assert not stdout_console().is_interactive


def test_a_line_is_never_wrapped_or_cut(stdout):
    stream = stdout()
    print_line(stdout_console(), "x" * 500)
    assert stream.content() == "x" * 500 + "\n"


@pytest.mark.parametrize("columns", [40, 200])
def test_a_terminal_says_its_own_width(stdout, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    stdout(terminal=True)
    assert stdout_console().width == columns


def test_off_a_terminal_the_width_is_always_the_same(stdout, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stdout()
    assert stdout_console().width == WIDTH_OFF_TERMINAL


def test_data_is_neither_markup_nor_emoji_nor_control(stdout):
    stream = stdout(terminal=True)
    console = stdout_console()
    table = Table()
    table.add_column("[red]head[/red]")
    table.add_row("[b]cell[/b] :tada: [/]")
    console.print(table)
    print_line(console, "[red]:tada:\x1b[2J")
    console.print(data_text("a\tb\x07\nc", lines=True))
    content = stream.content()
    assert "[red]head[/red]" in content
    assert "[b]cell[/b] :tada: [/]" in content
    assert "[red]:tada:\\x1b[2J\n" in content
    assert "a       b\\x07\nc\n" in content


def test_signs_and_names_fall_back_where_the_encoding_has_none(stdout):
    stream = stdout(encoding="ascii")
    console = stdout_console()
    signs = glyphs(console)
    assert "".join(vars(signs).values()).isascii()
    print_line(console, "ünï 🦊")
    assert stream.content() == "\\xfcn\\xef \\U0001f98a\n"


def test_signs_are_unicode_where_they_can_be(stdout):
    stdout()
    assert glyphs(stdout_console()) == Glyphs()


def test_every_sign_has_its_ascii_form(stdout):
    stdout(encoding="latin-1")
    assert vars(glyphs(stdout_console())).keys() == vars(Glyphs()).keys()


def test_talk_goes_to_stderr(monkeypatch):
    stream = Stream()
    monkeypatch.setattr(sys, "stderr", stream)
    print_line(stderr_console(), "x")
    assert stream.content() == "x\n"


def test_json_is_ascii_and_exact(stdout):
    stream = stdout(terminal=True)
    print_json({"a": "\x9b31m ü"})
    assert stream.content().isascii()
    assert json.loads(stream.content()) == {"a": "\x9b31m ü"}
