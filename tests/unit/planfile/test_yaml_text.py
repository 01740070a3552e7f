import pytest

from kitsune.errors import PlanUnreadable
from kitsune.planfile.builder import MAX_NODES
from kitsune.planfile.source import Source
from kitsune.planfile.yaml_text import read_yaml


def read(text):
    built = read_yaml(Source("plan.yaml", text))
    assert built.problems == []
    return built.data


def refusal(text):
    with pytest.raises(PlanUnreadable) as refused:
        read_yaml(Source("plan.yaml", text))
    return str(refused.value)


def found(text):
    return [problem.text for problem, _ in read_yaml(Source("plan.yaml", text)).problems]


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: 1\nb: [x, 2.5, true, ~]\n", {"a": 1, "b": ["x", 2.5, True, None]}),
        ("a:\nb: ''\n", {"a": None, "b": ""}),
        ("mode: 0644\nversion: 1.10\n", {"mode": "0644", "version": "1.10"}),
        ("on: yes\nno: NO\n", {"on": "yes", "no": "NO"}),
        ("a: '5'\nb: \"true\"\n", {"a": "5", "b": "true"}),
        ("a: |\n  one\n  two\nb: >-\n  one\n  two\n", {"a": "one\ntwo\n", "b": "one two"}),
        ("1: a\ntrue: b\nnull: c\n1.10: d\n", {"1": "a", "true": "b", "null": "c", "1.10": "d"}),
        ("a: 2026-11-22\nb: 12:30\n", {"a": "2026-11-22", "b": "12:30"}),
        ("a: {b: {c: []}}\n", {"a": {"b": {"c": []}}}),
        ("'<<': 1\n", {"<<": 1}),
        ("---\na: 1\n...\n", {"a": 1}),
        ("%YAML 1.2\n---\na: 1\n", {"a": 1}),
        ("a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
        ('a: "\\u00fc\\x1b"\n', {"a": "ü\x1b"}),
        ("a: 🦊\n", {"a": "🦊"}),
        ('{"a": "\\ud83e\\udd8a"}', {"a": "🦊"}),
        ('a: "\\ud800"\n', {"a": "\ud800"}),
        ('{"a": ["b", 1]}', {"a": ["b", 1]}),
        ("a: # nothing\nb: x # a remark\n", {"a": None, "b": "x"}),
    ],
)
def test_yaml_1_2_is_read_as_people_mean_it(text, data):
    assert read(text) == data


def test_a_key_that_is_written_twice_keeps_its_first_value_and_is_told_with_both_lines():
    built = read_yaml(Source("plan.yaml", "a: 1\nb: 2\na: {c: 1, c: 2}\n"))
    assert built.data == {"a": 1, "b": 2}
    assert [problem.text for problem, _ in built.problems] == [
        "a: the key 'a' is written twice, in line 1 and in line 3: keep one"
    ]


def test_what_makes_one_text_mean_two_things_is_told_every_time():
    assert found("a: &x 1\nb: *x\nc: {<<: *x}\nd: !!str 2\n") == [
        "a: an anchor (&x) is not part of a plan: leave it out",
        "b: an alias (*x) is not part of a plan: write out what it stands for",
        "c: a merge key (<<) is not part of a plan: write out what it stands for",
        'c["<<"]: an alias (*x) is not part of a plan: write out what it stands for',
        "d: a tag (a word that begins with !) is not part of a plan: leave it out, or quote it",
    ]


def test_a_bomb_of_aliases_stays_small():
    bomb = "a: &a [x, x]\n" + "".join(
        f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
        for before, after in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert len(found(bomb)) == 9 + 8 * 9


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty: a plan needs servers and steps"),
        ("# only this\n", "the file is empty"),
        ("a: 1\n---\nb: 2\n", "plan.yaml:2:1: a second document begins here"),
        ("%TAG ! tag:x\n---\na: 1\n", "without directives"),
        ("a:\n\tb: 1\n", "plan.yaml:2:1: a tab in the indentation: YAML takes spaces only"),
        ("a: [1, 2\nb: 3\n", "a comma or a closing bracket is missing here; it was opened in line"),
        ("a: `x`\n", "plan.yaml:1:4: text that begins with this character must stand in quotes"),
        ("? {a: 1}\n: 2\n", "plan.yaml:1:3: a key must be plain text"),
        ("? *a\n: 2\n", "a key must be plain text"),
        ("a: x\x00\n", "a control character (0x00)"),
        ("[" * 65, "nested deeper than 64 levels"),
        ("[" + "1," * (MAX_NODES + 1) + "]", "more than 30,000 values"),
    ],
    ids=range(12),
)
def test_what_cannot_be_read_is_told_with_its_place(text, said):
    assert said in refusal(text)


def test_a_long_tag_is_read_in_no_time():
    assert len(found("a: !" + "x" * 1_000_000)) == 1
