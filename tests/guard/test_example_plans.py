"""Every example has a page that says what it is, and a plan that is valid without a warning."""

from pathlib import Path

import pytest

from kitsune.handlers.registry import load_handlers
from kitsune.planfile.loading import load_and_check

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[0-9][0-9]-*"))
#: The step types that an example brings itself: its own test installs them.
BROUGHT = {"02-custom-handler": ("symlink",)}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_has_a_page_and_a_plan_that_is_valid(example):
    assert (example / "README.md").read_text().startswith("# ")
    checked = load_and_check(str(example / "plan.yaml"), load_handlers()).checked
    assert checked.problems == ()
    assert checked.warnings == ()
    assert checked.unknown_types == BROUGHT.get(example.name, ())


def test_there_are_examples():
    assert len(EXAMPLES) >= 2
