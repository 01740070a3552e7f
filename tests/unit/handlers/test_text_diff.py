"""A diff is right, wherever the change is, and bounded."""

import difflib

from hypothesis import given, settings
from hypothesis import strategies as st

from kitsune.handlers.text_diff import unified_diff

LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\n"]), max_size=40).map("".join)


@settings(deadline=None)
@given(LINES, LINES)
def test_a_diff_leads_from_one_text_to_the_other(before, after):
    diff, note = unified_diff(before, after, name="f")
    assert note == ""
    assert applied(before, diff) == after


def test_a_change_far_down_has_its_real_line_numbers():
    before = "".join(f"{number}\n" for number in range(5000))
    diff, _ = unified_diff(before, before.replace("\n4000\n", "\nchanged\n"), name="f")
    same = difflib.unified_diff(
        before.splitlines(keepends=True),
        before.replace("\n4000\n", "\nchanged\n").splitlines(keepends=True),
        "f",
        "f (plan)",
    )
    assert diff == "".join(same).removesuffix("\n")


def test_too_much_is_said_to_be_too_much():
    before, after = "a\n" * 10_000, "b\n" * 10_000
    assert unified_diff(before, after, name="f") == ("", "more than 3,000 lines differ: no diff")
    diff, note = unified_diff("x" * 100 + "\n", ("y" * 100 + "\n") * 1000, name="f")
    assert len(diff) <= 32 * 1024
    assert "more lines of the diff are left out" in note


def applied(before, diff):
    """Apply a unified diff."""
    old = before.splitlines(keepends=True)
    new, at = [], 0
    for line in diff.splitlines()[2:]:
        if line.startswith("@@"):
            number, _, count = line.split()[1][1:].partition(",")
            start = int(number) - (0 if count == "0" else 1)
            new += old[at:start]
            at = start
        elif line.startswith("+"):
            new.append(line[1:] + "\n")
        else:
            at += 1
            new += [old[at - 1]] if line.startswith(" ") else []
    return "".join(new + old[at:])
