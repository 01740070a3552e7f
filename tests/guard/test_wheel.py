"""What people install: the wheel has the code, its types and its licence, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, REPOSITORY],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        yield archive


def test_the_wheel_holds_every_module_and_its_types(wheel):
    source = REPOSITORY / "src"
    ours = {
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "kitsune/py.typed" in ours
    assert ours <= set(wheel.namelist())


def test_the_wheel_holds_nothing_but_kitsune(wheel):
    assert {name.split("/")[0].split("-")[0] for name in wheel.namelist()} == {
        "kitsune",
        "kitsune_orchestrator",
    }


def test_the_wheel_carries_its_licence(wheel):
    licence = next(name for name in wheel.namelist() if name.endswith("/licenses/LICENSE"))
    assert "Apache License" in wheel.read(licence).decode()


def test_the_wheel_has_the_command_and_the_handlers(wheel):
    points = wheel.read(
        next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    ).decode()
    assert "kitsune = kitsune.__main__:main" in points
    assert "[kitsune.handlers]" in points


def test_agents_install_the_small_core_only(wheel):
    metadata = wheel.read(
        next(name for name in wheel.namelist() if name.endswith("/METADATA"))
    ).decode()
    needs = [
        line.split(": ")[1] for line in metadata.splitlines() if line.startswith("Requires-Dist: ")
    ]
    core = {need.split(">")[0].split("<")[0] for need in needs if "extra ==" not in need}
    assert core == {"click", "pydantic", "rich", "ruamel-yaml", "temporalio"}
