import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitsune.errors import PlanUnreadable
from kitsune.handlers.registry import HandlerRegistry
from kitsune.models.problems import Problem
from kitsune.planfile.document import parse_document
from kitsune.planfile.loading import check_document
from kitsune.planfile.source import Place, Source

YAML = """\
servers:
  - server-1
  - server-2
steps:
  - name: a
    params: {duration: 30 parsecs, "x.y": 1}
"""


def parse(text, name="plan.yaml"):
    return parse_document(Source(name, text))


@pytest.mark.parametrize(
    ("path", "key", "place"),
    [
        ("", False, Place(1, 1)),
        ("servers", False, Place(2, 3)),
        ("servers", True, Place(1, 1)),
        ("servers[1]", False, Place(3, 5)),
        ("steps[0]", False, Place(5, 5)),
        ("steps[0].params.duration", False, Place(6, 24)),
        ("steps[0].params.duration", True, Place(6, 14)),
        ('steps[0].params["x.y"]', False, Place(6, 43)),
        ("steps[0].type", False, Place(5, 5)),
        ("steps[0].params.nope.deeper", True, Place(6, 13)),
        ("nothing", True, Place(1, 1)),
    ],
)
def test_everything_has_a_line_and_a_column_and_what_is_missing_that_of_its_mapping(
    path, key, place
):
    assert parse(YAML).place_of(path, key=key) == place


def test_the_same_data_in_json_stands_in_the_same_paths():
    document = parse(YAML)
    as_json = parse(json.dumps(document.data, indent=1), "plan.json")
    assert as_json.data == document.data
    assert as_json.spots.keys() == document.spots.keys()


@pytest.mark.parametrize(
    ("name", "text", "json_words"),
    [
        ("plan.json", "a: 1", True),
        ("PLAN.JSON", "a: 1", True),
        ("<stdin>", ' \n{"a": 1,}', True),
        ("plan", '{"a": 1,}', True),
        ("plan.yaml", '{"a": 1,}', False),
        ("plan.yml", '{"a": 1,}', False),
        ("<stdin>", "a: 1", False),
    ],
)
def test_the_name_or_the_first_character_says_whether_it_is_json(name, text, json_words):
    if json_words:
        with pytest.raises(PlanUnreadable):
            parse(text, name)
    else:
        assert parse(text, name).data == {"a": 1}


def test_nothing_is_said_of_what_an_alias_would_have_brought():
    document = parse("a: &x {b: 1}\nc: *x\nd: {<<: *x}\n")
    problems = [Problem(path=path, message="?") for path in ("a.b", "c", "c.b", "d.b", "e")]
    located = document.locate(problems)
    assert [found.problem.path for found in located if found.problem.message == "?"] == [
        "e",
        "a.b",
    ]


def test_a_line_with_a_secret_is_never_shown():
    document = parse("a: {b: 1, secret: hunter2}\nc: 3\n")
    problems = [Problem(path="a.b", message="x"), Problem(path="c", message="y")]
    first, second = document.locate(problems, secrets=["a.secret"])
    assert first.text == "plan.yaml:1:8: a.b: x"
    assert second.text == "plan.yaml:2:4: c: y\n    c: 3\n       ^"


def test_a_problem_cannot_draw_on_the_terminal():
    document = parse_document(Source("\x1b[2J.yaml", "a: 1"))
    (located,) = document.locate([Problem(path="a", message="\x1b]0;title\x07")])
    assert "\x1b" not in located.text


def _survives(source):
    try:
        document = parse_document(source)
    except PlanUnreadable as error:
        text = str(error)
    else:
        checked, located = check_document(document, HandlerRegistry())
        assert (checked.plan is None) <= bool(located)
        text = "\n".join(problem.text for problem in located)
    assert all(line.isprintable() for line in text.split("\n"))
    text.encode()


texts = st.text() | st.text(alphabet="abc:-?[]{},&*!|>'\"%@`#<~ \n\t\r\\0123.ex\x00\u2028\ud7ff")


@settings(max_examples=400)
@given(text=texts, name=st.sampled_from(["p.yaml", "p.json", "p"]))
def test_no_text_breaks_the_loader(text, name):
    _survives(Source(name, text))


@settings(max_examples=200)
@given(
    pieces=st.lists(
        st.sampled_from(
            [
                *YAML.splitlines(keepends=True),
                "- ",
                "  ",
                "a: ",
                "{",
                "}",
                "[",
                "]",
                '"',
                "'",
                "\n",
                "&a ",
                "*a",
                "<<: ",
                "!x ",
                "|\n",
                ">\n",
                "---\n",
                "%YAML 1.1\n",
                "? ",
                "\t",
                "#",
                ",",
                '"\\U99999999"',
                '"\\ud800"',
                "\\",
                "null",
                "9" * 50,
                ".inf",
                "é",
                "\r\n",
            ]
        ),
        max_size=25,
    )
)
def test_no_heap_of_yaml_breaks_the_loader(pieces):
    _survives(Source("p.yaml", "".join(pieces)))
