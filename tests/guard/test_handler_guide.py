"""The guide to custom handlers: its handler runs, and its tests pass."""

import inspect
import re
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "custom-handlers.md").read_text()


@pytest.fixture(scope="module")
def guide():
    """The names that the guide's code defines."""
    names = {"__name__": "guide"}
    for block in re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL):
        exec(compile(block, "docs/guides/custom-handlers.md", "exec"), names)
    return names


@pytest.mark.parametrize("name", re.findall(r"^async def (test_\w+)", GUIDE, re.MULTILINE))
async def test_a_test_of_the_guide_passes(name, guide, tmp_path):
    assert inspect.iscoroutinefunction(guide[name])
    await guide[name](tmp_path)


def test_the_guide_has_tests():
    assert GUIDE.count("async def test_") >= 3


def test_the_entry_point_of_the_guide_is_called_like_its_type(guide):
    name = re.search(r'^(\w+) = "acme_steps', GUIDE, re.MULTILINE)[1]
    assert guide["SymlinkHandler"].type == name
