"""Every file in tests/data/bad-plans is refused with the words in the `.expected` file beside it.

After a change of words: `cd tests/data/bad-plans && kitsune validate FILE 2> FILE.expected`, and read the difference.
"""

from pathlib import Path

import pytest
from click.testing import CliRunner

from kitsune.cli.exits import Exit
from kitsune.cli.plans import validate

FOLDER = Path(__file__).parents[2] / "data" / "bad-plans"
PLANS = sorted(path.name for path in FOLDER.iterdir() if path.suffix != ".expected")


def test_there_are_bad_plans():
    assert len(PLANS) > 30


@pytest.mark.parametrize("name", PLANS)
def test_a_bad_plan_is_refused_in_the_right_words(name, monkeypatch):
    monkeypatch.chdir(FOLDER)
    done = CliRunner().invoke(validate, [name], standalone_mode=False)
    assert done.exception is None
    assert done.return_value == Exit.REFUSED
    assert done.stdout == ""
    assert done.stderr == (FOLDER / f"{name}.expected").read_text()


@pytest.mark.parametrize("name", PLANS)
def test_no_refusal_holds_a_control_character_or_a_secret(name):
    expected = (FOLDER / f"{name}.expected").read_text()
    assert all(line.isprintable() for line in expected.split("\n"))
    assert "hunter2" not in expected
