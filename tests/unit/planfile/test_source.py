import io
import os
import sys

import pytest

from kitsune.errors import PlanUnreadable
from kitsune.planfile.source import MAX_FILE_BYTES, Place, Source, read_source


def refusal(path):
    with pytest.raises(PlanUnreadable) as refused:
        read_source(str(path))
    return str(refused.value)


def write(tmp_path, content):
    path = tmp_path / "plan.yaml"
    path.write_bytes(content)
    return path


def test_a_file_is_read_as_utf_8_with_or_without_a_mark(tmp_path):
    assert read_source(str(write(tmp_path, "ü".encode()))).text == "ü"
    assert read_source(str(write(tmp_path, b"\xef\xbb\xbf" + "ü".encode()))).text == "ü"


def test_a_dash_is_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a: 1")))
    assert read_source("-") == Source(name="<stdin>", text="a: 1")


def test_a_missing_file_is_told_with_what_would_work(tmp_path):
    assert "no such file or directory: check its name, or write '-'" in refusal(tmp_path / "nope")


def test_a_file_under_a_file_is_told(tmp_path):
    assert "not a directory: check its name" in refusal(write(tmp_path, b"") / "plan.yaml")


def test_a_folder_is_told(tmp_path):
    assert "a folder: name the plan file within it" in refusal(tmp_path)


def test_a_fifo_that_nobody_writes_to_does_not_make_us_wait(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert "not a regular file: write the plan into one, or pipe it to '-'" in refusal(
        tmp_path / "fifo"
    )


def test_a_device_is_not_read():
    assert "not a regular file" in refusal("/dev/zero")


@pytest.fixture
def as_nobody():
    """Be nobody for a while: root may read every file."""
    own = os.geteuid()
    if own == 0:
        os.seteuid(65534)
    yield
    os.seteuid(own)


def test_a_file_that_may_not_be_read_is_told(tmp_path, as_nobody):
    path = tmp_path / "plan.yaml" if os.getuid() == 0 else write(tmp_path, b"")
    if os.getuid() != 0:
        path.chmod(0)
    assert "permission denied: check its mode, or run as its owner" in refusal(path)


def test_a_name_that_no_file_can_have_is_told():
    assert refusal("a\0b") == "not a file name: 'a\\x00b'"


def test_a_name_cannot_draw_on_the_terminal(tmp_path):
    assert "\x1b" not in refusal(tmp_path / "\x1b[2J")


def test_a_file_is_not_read_beyond_its_limit(tmp_path):
    assert read_source(str(write(tmp_path, b"#" * MAX_FILE_BYTES))).text
    assert "larger than 2,097,152 bytes" in refusal(write(tmp_path, b"#" * (MAX_FILE_BYTES + 1)))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_told_as_such(tmp_path, encoding):
    assert "save it as UTF-8" in refusal(write(tmp_path, "servers: [a]".encode(encoding)))


def test_a_byte_that_is_not_utf_8_is_told_with_its_line(tmp_path):
    path = write(tmp_path, b"a: 1\r\nb: 2\rc: \xff\n")
    assert refusal(path) == f"{path}:3: not UTF-8: byte 0xff in line 3: save it as UTF-8"


def test_lines_end_as_yaml_and_json_say():
    source = Source("x", "a\r\nb\rc\nd\u2028e")
    assert [source.place(source.text.index(char)) for char in "abcde"] == [
        Place(1, 1),
        Place(2, 1),
        Place(3, 1),
        Place(4, 1),
        Place(4, 3),
    ]


@pytest.mark.parametrize(
    ("line", "column", "excerpt"),
    [
        ("a: 1", 4, "    a: 1\n       ^"),
        ("\ta: 1", 2, "            a: 1\n            ^"),
        ("漢字: 1", 5, "    漢字: 1\n          ^"),
        ("a\x1b: 1", 5, "    a\\x1b: 1\n           ^"),
        ("", 1, "    \n    ^"),
        ("ab", 3, "    ab\n      ^"),
    ],
)
def test_a_caret_stands_under_the_column_in_any_text(line, column, excerpt):
    assert Source("x", line).excerpt(Place(1, column)) == excerpt


def test_a_long_line_is_cut_around_the_column():
    source = Source("x", "a" * 500_000 + "!" + "b" * 500_000)
    line, caret = source.excerpt(Place(1, 500_001)).split("\n")
    assert len(line) < 120
    assert line[caret.index("^")] == "!"
    assert line.strip().startswith("...")
    assert line.endswith("...")
