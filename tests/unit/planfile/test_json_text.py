import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitsune.errors import PlanUnreadable
from kitsune.planfile.json_text import read_json
from kitsune.planfile.source import Place, Source


def read(text):
    return read_json(Source("plan.json", text))


def refusal(text):
    with pytest.raises(PlanUnreadable) as refused:
        read(text)
    return str(refused.value).split("\n")[0]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(value=values, indent=st.sampled_from([None, 2, "\t"]), ascii_only=st.booleans())
def test_what_json_writes_is_read_back(value, indent, ascii_only):
    built = read(json.dumps(value, indent=indent, ensure_ascii=ascii_only))
    assert built.data == value
    assert built.problems == []


@given(st.text(alphabet='{}[]",:\\ntrue0123.-eE \n\t/u8d') | st.text())
def test_we_read_exactly_what_the_standard_library_reads(text):
    def no_constant(name):
        raise ValueError(name)

    try:
        expected = json.loads(text, parse_constant=no_constant)
    except ValueError:
        with pytest.raises(PlanUnreadable):
            read(text)
    else:
        built = read(text)
        assert built.problems or built.data == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "plan.json:1:1: the file is empty: a plan needs servers and steps"),
        ("{", "plan.json:1:2: expected a key in double quotes here (JSON has no comments)"),
        ('{"a"', "plan.json:1:5: expected ':' after a key"),
        ('{"a":', "plan.json:1:6: the file ends where a value should stand"),
        ('{"a": 1', "plan.json:1:8: expected ',' or '}' here"),
        ('{"a": 1,}', "plan.json:1:9: a comma before a closing bracket: JSON has none there"),
        ("[1, 2", "plan.json:1:6: expected ',' or ']' here"),
        ('{"a": 01}', "plan.json:1:7: not a JSON value: '01' (text stands in double quotes)"),
        ('{"a": -Infinity}', "plan.json:1:7: not a JSON value: '-Infinity'"),
        ('{"a": yes}', "plan.json:1:7: not a JSON value: 'yes' (text stands in double quotes)"),
        ('{"a": "x', "plan.json:1:7: not JSON: unterminated string starting"),
        ('{"a": "\\q"}', "plan.json:1:8: not JSON: invalid \\escape"),
        ('{} "x"', "plan.json:1:4: text after the end of the plan: one file holds one plan"),
        ("[" * 65, "plan.json:1:65: nested deeper than 64 levels"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(text, said):
    assert refusal(text).startswith(said)


def test_a_key_that_is_written_twice_is_told_with_both_lines():
    built = read('{"a": 1,\n "a": 2}')
    assert built.data == {"a": 1}
    assert [problem.text for problem, _ in built.problems] == [
        "a: the key 'a' is written twice, in line 1 and in line 2: keep one"
    ]


def test_everything_is_found_where_it_stands():
    source = Source("plan.json", '{"a": [1,\n  {"b": "c"}]}')
    spots = read_json(source).spots
    assert source.place(spots["a[0]"].value) == Place(1, 8)
    assert source.place(spots["a[1].b"].value) == Place(2, 9)
    assert source.place(spots["a[1].b"].key) == Place(2, 4)
