"""The example of a custom handler is a plugin that installs, is found, and passes its own tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "02-custom-handler"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the installed plugin, and what its files were before."""
    folder = tmp_path_factory.mktemp("plugin")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    pip += ["--no-build-isolation", "--disable-pip-version-check", "--root-user-action=ignore"]
    done = subprocess.run(
        [*pip, "--target", folder, EXAMPLE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def python(installed, tmp_path):
    """Run this Python where the plugin is installed, away from its source."""
    plugin = {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path, env=os.environ | plugin, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    return run


def test_kitsune_finds_the_installed_handler(python, installed):
    code = (
        "import sys; from kitsune.handlers.registry import load_handlers;"
        "registry = load_handlers(); print(registry.faults);"
        "print(type(registry.require('symlink')).__name__, sys.modules['kitsune_symlink'].__file__)"
    )
    status, printed = python("-c", code)
    assert status == 0, printed
    assert printed.splitlines() == ["{}", f"SymlinkHandler {installed}/kitsune_symlink.py"]


def test_its_plan_is_valid_where_it_is_installed(python):
    status, printed = python("-m", "kitsune", "validate", str(EXAMPLE / "plan.yaml"))
    assert status == 0, printed
    assert "warning" not in printed.lower()


def test_a_mistake_in_its_params_is_found_by_its_own_checks(python, tmp_path):
    plan = (EXAMPLE / "plan.yaml").read_text().replace("target: releases/2", "traget: releases/2")
    (tmp_path / "plan.yaml").write_text(plan)
    status, printed = python("-m", "kitsune", "validate", str(tmp_path / "plan.yaml"))
    assert status == 8, printed
    assert "steps[1].params.traget: unknown key 'traget' (did you mean 'target'?)" in printed


def test_its_own_tests_pass_against_the_installed_plugin(python):
    status, printed = python("-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE))
    assert status == 0, printed
    assert "passed" in printed


def test_nothing_is_left_in_the_examples_folder(python):
    python("-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE))
    names = {path.name for path in EXAMPLE.iterdir()} - {"__pycache__"}
    assert names == {
        "README.md",
        "kitsune_symlink.py",
        "plan.yaml",
        "pyproject.toml",
        "test_kitsune_symlink.py",
    }
