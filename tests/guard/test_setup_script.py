"""dev/setup.sh, with stand-ins for Python: a set-up that was cut short, moved or lost its Python is made anew."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "dev" / "setup.sh"

# A Python that can make environments of itself; `pip` fails while the file `offline` is there.
WORKING = """#!/bin/sh
case "$*" in
"-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
"-m pip "*) echo "$*" >>pip-calls; [ ! -e offline ] ;;
--version) echo Python 3.12.1 ;;
esac
"""
TOO_OLD = "#!/bin/sh\necho 'is Python 3.10; Kitsune runs on 3.11 to 3.13' >&2; exit 1\n"
SHIM = "#!/bin/sh\necho 'command not found' >&2; exit 127\n"


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "cat", "sed", "tail", "rm", "mkdir", "cp"):
        source = next(
            path for path in (Path("/usr/bin", tool), Path("/bin", tool)) if path.exists()
        )
        (tmp_path / "bin" / tool).symlink_to(source)
    return tmp_path


def python(checkout, name, text):
    path = checkout / "bin" / name
    path.write_text(text)
    path.chmod(0o755)


def setup(checkout, *arguments, **environment):
    return subprocess.run(
        ["/bin/sh", SCRIPT, *(arguments or [".venv"])],
        cwd=checkout, env={"PATH": str(checkout / "bin"), **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def is_ready(checkout, **environment):
    return setup(checkout, "--check", ".venv", **environment).returncode == 0


def test_the_newest_python_that_really_works_is_taken(checkout):
    python(checkout, "python3.13", SHIM)
    python(checkout, "python3.12", WORKING)
    assert not is_ready(checkout)
    done = setup(checkout)
    assert done.returncode == 0, done.stderr
    assert "Python 3.12.1" in done.stdout
    assert is_ready(checkout)
    assert (
        "--require-hashes --no-deps -r requirements/dev.txt" in (checkout / "pip-calls").read_text()
    )


def test_no_usable_python_is_one_clear_error(checkout):
    python(checkout, "python3", TOO_OLD)
    done = setup(checkout)
    assert done.returncode != 0
    assert "python3 is Python 3.10" in done.stderr
    assert "apt install python3 python3-venv" in done.stderr
    assert "there is no /nowhere/python" in setup(checkout, PYTHON="/nowhere/python").stderr


def test_a_set_up_that_was_cut_short_begins_anew(checkout):
    python(checkout, "python3", WORKING)
    (checkout / "offline").touch()
    assert setup(checkout).returncode != 0
    assert not is_ready(checkout)
    (checkout / ".venv" / "half-installed").touch()
    (checkout / "offline").unlink()
    assert setup(checkout).returncode == 0
    assert is_ready(checkout)
    assert not (checkout / ".venv" / "half-installed").exists()


def test_changed_pins_are_installed_into_the_environment_that_is_there(checkout):
    python(checkout, "python3", WORKING)
    setup(checkout)
    (checkout / ".venv" / "kept").touch()
    assert setup(checkout).returncode == 0
    assert (checkout / ".venv" / "kept").exists()


def test_an_environment_whose_python_vanished_is_made_anew(checkout):
    python(checkout, "python3", WORKING)
    setup(checkout)
    (checkout / ".venv" / "bin" / "python").unlink()
    assert not is_ready(checkout)
    assert setup(checkout).returncode == 0
    assert is_ready(checkout)


def test_a_moved_checkout_makes_its_environment_anew(checkout):
    python(checkout, "python3", WORKING)
    setup(checkout)
    (checkout / ".venv" / ".kitsune-ready").write_text("/somewhere/else\n\n")
    (checkout / ".venv" / "old").touch()
    assert not is_ready(checkout)
    setup(checkout)
    assert is_ready(checkout)
    assert not (checkout / ".venv" / "old").exists()


def test_an_environment_serves_until_another_python_is_asked_for(checkout):
    python(checkout, "python3", WORKING)
    python(checkout, "python3.11", WORKING)
    setup(checkout, PYTHON="python3")
    assert is_ready(checkout)
    assert is_ready(checkout, PYTHON="python3")
    assert not is_ready(checkout, PYTHON="python3.11")


def test_every_script_of_ours_is_executable():
    repository = SCRIPT.parents[1]
    scripts = [repository / ".ci" / "run", *repository.glob("dev/*.sh")]
    assert len(scripts) > 3
    assert [path.name for path in scripts if not os.access(path, os.X_OK)] == []
