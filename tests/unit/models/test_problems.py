import pytest

from kitsune.models.problems import Problem, join_path, nearest, parent_path, show_value


def test_a_problem_reads_as_path_message_and_hint():
    problem = Problem(path="steps[0].typ", message="unknown key 'typ'", hint="type")
    assert problem.text == "steps[0].typ: unknown key 'typ' (did you mean 'type'?)"
    assert Problem(message="too large").text == "too large"


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ((), ""),
        (("steps", 2, "params"), "steps[2].params"),
        (("env", "a.b"), 'env["a.b"]'),
        (("env", ""), 'env[""]'),
        (("env", "a\x1b"), 'env["a\\u001b"]'),
        (("x-y", "ü"), "x-y.ü"),
        (("$schema",), "$schema"),
    ],
)
def test_a_path_reads_like_the_plan(location, path):
    assert join_path(location) == path


@pytest.mark.parametrize(
    ("path", "parent"),
    [
        ("", ""),
        ("steps", ""),
        ("steps[2]", "steps"),
        ("steps[2].params", "steps[2]"),
        ('env["a.b"]', "env"),
    ],
)
def test_a_path_knows_what_holds_it(path, parent):
    assert parent_path(path) == parent


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (5, "5"),
        ("a\x1b[2J", "'a\\x1b[2J'"),
        ({}, "an empty mapping"),
        ({"password": "x"}, "a mapping"),
        ([1], "a list"),
        pytest.param(10**5000, "a number of 16,610 bits", id="huge"),
    ],
)
def test_values_are_shown_as_people_wrote_them_and_safely(value, shown):
    assert show_value(value) == shown


def test_a_long_value_is_cut():
    assert len(show_value("x" * 1_000_000)) == 80


def test_a_typo_is_recognised_whatever_its_capitals():
    assert nearest("File-Write", ["file_write", "echo"]) == "file_write"
    assert nearest("qqq", ["file_write", "echo"]) is None
    assert nearest("sleeper", ["sleep"], cutoff=0.9) is None
