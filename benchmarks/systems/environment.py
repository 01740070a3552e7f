"""The bench environment: where the peers are installed, apart from Kitsune."""

import os
import sys
from pathlib import Path
from typing import Final

from kitsune.embedded.local_processes import clean_environment

_REPOSITORY = Path(__file__).parents[2]
#: Variables that would change how a peer behaves.
_NOT_THEIRS = ("ANSIBLE_", "PYINFRA_", "SALT_", "PYTHON", "SSH_AUTH_SOCK")
BIN: Final = _REPOSITORY / os.environ.get("BENCH_VENV", ".venv-bench") / "bin"


def lacks(*programs: str) -> str | None:
    """Return which program of the bench environment is missing, and what would bring it."""
    for program in programs:
        if not (BIN / program).exists():
            return f"{BIN / program} is not there (`make bench` installs it; did that fail?)"
    return None


def peer_environment(**variables: str) -> dict[str, str]:
    """Return the variables of a peer's process: ours, without what would change how it works."""
    kept = {
        key: value for key, value in clean_environment().items() if not key.startswith(_NOT_THEIRS)
    }
    path = os.pathsep.join([str(BIN), kept.get("PATH", os.defpath)])
    return {**kept, "PATH": path, "LC_ALL": "C.UTF-8", **variables}


def target_python() -> str:
    """Return the Python that runs on the managed side: the system's where there is one, as on a real server."""
    system = Path("/usr/bin/python3")
    return str(system) if system.exists() else sys.executable
