"""What the params of a script step may be."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from kitsune.handlers.base import shown_params
from kitsune.handlers.script import ScriptHandler, ScriptParams
from kitsune.models.findings import problems_from


def params(**written):
    return ScriptParams.model_validate(written)


def problems(**written):
    with pytest.raises(ValidationError) as error:
        ScriptParams.model_validate(written)
    return [problem.text for problem in problems_from(error.value, ScriptParams, raw=written)]


def test_a_command_needs_nothing_else():
    found = params(command="deploy.sh", args=["--version", "v1.2.3"])
    assert found.args == ["--version", "v1.2.3"]
    assert found.success_exit_codes == [0]
    assert found.kill_grace == timedelta(seconds=10)


def test_old_names_are_understood():
    found = params(script="deploy.sh", rollback_script="undo.sh")
    assert (found.command, found.rollback_command) == ("deploy.sh", "undo.sh")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({}, "needs command (a program) or inline (a text)"),
        ({"command": "a", "inline": "b"}, "write either command or inline, not both"),
        ({"inline": "b", "args": ["x"]}, "args are for command: an inline text gets none"),
        (
            {"command": "a", "rollbackCommand": "b", "rollbackInline": "c"},
            "write either rollbackCommand or rollbackInline, not both",
        ),
        ({"command": "a", "rollbackArgs": ["b"]}, "rollbackArgs are for rollbackCommand"),
        (
            {"command": "a", "interpreter": "bash"},
            "interpreter is for inline and rollbackInline: command starts without one",
        ),
        (
            {"command": "a", "script": "b"},
            "'script' is the old name of 'command': write only one of them",
        ),
        (
            {"command": "a", "rollbackCommand": "b", "rollback_script": "c"},
            "'rollback_script' is the old name of 'rollbackCommand': write only one of them",
        ),
        (
            {"inline": "a", "interpreter": "sh 'x"},
            'interpreter: not a command line: "sh \'x" (No closing quotation)',
        ),
        ({"command": " "}, "command: must not be empty"),
        ({"comand": "x"}, "comand: unknown key 'comand' (did you mean 'command'?)"),
        (
            {"command": "a", "env": {"KITSUNE_STEP": "x"}},
            "env: KITSUNE_STEP is set by Kitsune itself, choose another name",
        ),
        ({"command": "a", "env": {"A=B": "x"}}, "env: not the name of a variable: 'A=B'"),
        (
            {"command": "a", "env": {"A": "x\0"}},
            "env: the value of A holds a NUL character or half of a character",
        ),
    ],
)
def test_what_does_not_go_together_is_said_plainly(written, said):
    assert problems(**written) == [said]


@pytest.mark.parametrize("text", ["a\0b", "half \ud83e"])
def test_a_text_that_no_program_can_be_told_is_refused(text):
    said = "must not hold a NUL character or half of a character: no program can be told it"
    assert problems(command="a", args=[text]) == [f"args[0]: {said}"]


def test_several_contradictions_are_said_at_once():
    (said,) = problems(inline="x", args=["a"], rollbackArgs=["b"])
    assert (
        said
        == "args are for command: an inline text gets none; rollbackArgs are for rollbackCommand"
    )


@pytest.mark.parametrize(("user", "kept"), [("app", "app"), (1000, "1000")])
def test_a_user_is_a_name_or_a_number(user, kept):
    assert params(command="a", user=user).user == kept


@pytest.mark.parametrize("user", [True, 1.5, "", None.__class__])
def test_nothing_else_is_a_user(user):
    assert problems(command="a", user=user)


def test_secrets_are_not_shown():
    shown = shown_params(params(command="a", env={"TOKEN": "t"}, stdin="password"))
    assert shown == {"command": "a", "env": "***", "stdin": "***"}


def test_what_can_be_undone_depends_on_the_rollback_command():
    handler = ScriptHandler()
    assert handler.reversible_with(params(command="a")) == "none"
    assert handler.reversible_with(params(command="a", rollbackCommand="b")) == "partial"
    assert handler.reversible_with(params(command="a", rollbackInline="b")) == "partial"
    assert not handler.idempotent


def test_params_survive_the_wire():
    written = params(script="a", env={"A": "b"}, killGrace="1m", user=7)
    assert params(**written.model_dump(mode="json", by_alias=True, exclude_unset=True)) == written
