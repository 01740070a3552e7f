"""Every command is there, explains itself, and appears in the reference."""

import importlib
import inspect
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kitsune.cli.exits import MEANINGS, Exit
from kitsune.cli.main import COMMANDS, kitsune

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_explains_itself(name):
    shown = CliRunner().invoke(kitsune, [name, "--help"])
    assert shown.exit_code == 0, shown.output
    assert shown.output.startswith(f"Usage: kitsune {name}")
    assert len(shown.output.splitlines()) > 4


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_explained(name):
    module, attribute, _ = COMMANDS[name]
    command = getattr(importlib.import_module(module), attribute)
    assert command.help
    silent = [
        option.opts
        for option in command.params
        if isinstance(option, click.Option) and not option.help and not option.hidden
    ]
    assert not silent


def test_help_shows_every_command_and_exit_code():
    shown = CliRunner().invoke(kitsune, ["--help"]).output
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", shown, re.MULTILINE)
    for code in Exit:
        assert re.search(rf"^  {code.value} +\S", shown, re.MULTILINE)
    assert set(MEANINGS) == set(Exit)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_stands_in_the_reference(name):
    assert f"## kitsune {name}" in REFERENCE.read_text()


def commands():
    """Yield every command with its parts, as (name, command)."""
    for name, (module, attribute, _) in COMMANDS.items():
        command = getattr(importlib.import_module(module), attribute)
        yield name, command
        for inner, part in getattr(command, "commands", {}).items():
            yield f"{name} {inner}", part


@pytest.mark.parametrize(
    ("name", "command"), [pytest.param(*each, id=each[0]) for each in commands()]
)
def test_help_leads_with_examples_that_can_be_typed(name, command):
    first, *rest = inspect.cleandoc(command.help).split("\n\n")
    assert len(first.splitlines()) <= 3
    assert rest[0].startswith("\b\n"), "the examples come right after what it does"
    examples = [line for line in rest[0].splitlines() if "kitsune " in line]
    assert any(re.search(rf"\bkitsune {name}\b", line) for line in examples)
    options = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
    for line in examples:
        for typed in re.findall(rf"\bkitsune {name}\b([^|&#>)]*)", line):
            used = set(re.findall(r"(?<=\s)--?[a-zA-Z][\w-]*", typed.split("    ")[0]))
            assert used <= options, line


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion(shell):
    shown = CliRunner().invoke(kitsune, ["completion", shell])
    assert shown.exit_code == 0
    assert "_KITSUNE_COMPLETE" in shown.output
    assert "%(" not in shown.output


def test_every_error_that_ends_a_command_names_the_next_one():
    from kitsune import errors
    from kitsune.cli.main import _EXIT_OF_ERROR, told_with_next

    for kind in _EXIT_OF_ERROR:
        argument = [] if kind is errors.PlanRefused else "what went wrong"
        assert re.search(r"\bkitsune (?:[a-z]|--help)", told_with_next(kind(argument))), kind
    own = errors.NotFound("no server 'x': `kitsune status web-1` lists them")
    assert told_with_next(own) == str(own)
