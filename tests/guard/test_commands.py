"""Every command is there, explains itself, and appears in the reference."""

import importlib
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
