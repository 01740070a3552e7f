"""Tables align what they show, and change nothing in it."""

from kitsune.cli.tables import Column, ago, table_lines


def plain(columns, rows):
    return [line.plain for line in table_lines(columns, rows)]


def test_columns_are_as_wide_as_their_widest_cell():
    lines = plain([Column("ID"), Column("N", right=True), Column("END")], [["long-id", "7", "x"]])
    assert lines == ["ID       N  END", "long-id  7  x"]


def test_wide_characters_take_two_columns():
    assert plain([Column("A"), Column("B")], [["日本", "x"], ["ab", "y"]]) == [
        "A     B",
        "日本  x",
        "ab    y",
    ]


def test_an_empty_cell_is_a_dash_for_grep_and_cut():
    assert plain([Column("A"), Column("B")], [["", ""]])[1] == "-  -"


def test_cells_cannot_break_the_table():
    assert plain([Column("A")], [["one\ntwo\x1b[2J"]])[1] == "one\\ntwo\\x1b[2J"


def test_ages_are_told_in_their_largest_unit(noon, after):
    ages = [ago(noon, after(seconds)) for seconds in (0, 59, 60, 3599, 7200, 200_000)]
    assert ages == ["0s ago", "59s ago", "1m ago", "59m ago", "2h ago", "2d ago"]
