import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitsune.handlers.soundness import unsound, walk


def texts(raw):
    return [problem.text for problem in unsound(raw)]


def test_plain_data_is_sound():
    assert texts({"a": [1, -(2**63 - 1), 2.5, None, True, "ü🦊", {"b": ""}]}) == []


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ({"a": [float("nan")]}, "a[0]: not a number that can be counted with: nan"),
        ({"a": float("-inf")}, "a: not a number that can be counted with: -inf"),
        (
            {"a": 2**63},
            "a: a whole number of more than 64 bits: 9223372036854775808 (put it in quotes)",
        ),
        (
            {"a": "x\ud800"},
            "a: half of a character: 'x\\ud800' (a surrogate without its other half)",
        ),
        ({"a": {1: 2}}, "a: not a key: 1 (keys are text)"),
        ({"a": {"\udfff": 2}}, "a: not a key: '\\udfff' (keys are text)"),
    ],
)
def test_what_json_has_no_place_for_is_told_with_its_place(raw, text):
    assert texts(raw) == [text]


def test_endless_nesting_is_one_problem_not_a_crash():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    (problem,) = unsound({"a": deep})
    assert problem.message == "nested deeper than 64 levels"
    while deep:  # taken apart by hand: Python would do it by recursion
        deep = deep.pop()


def test_a_walk_goes_from_top_to_bottom():
    raw = {"a": [1, {"b": 2}], "c": 3}
    assert [path for path, _, _ in walk(raw)] == ["", "a", "a[0]", "a[1]", "a[1].b", "c"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_no_data_breaks_the_check(raw):
    unsound(raw)
