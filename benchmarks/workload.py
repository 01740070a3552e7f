"""The plan of four steps that every system runs: say, write a file, run a command, say."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

STEPS: Final = 4
#: In a path of a plan: where each server's own name goes. The servers of a benchmark share one disk.
OWN: Final = "SERVER"


def server_names(count: int) -> list[str]:
    """Return `server-1` to `server-<count>`."""
    return [f"server-{number}" for number in range(1, count + 1)]


def four_steps(files: Path, content: str) -> list[dict[str, Any]]:
    """Return the steps as a plan of Kitsune's holds them."""
    write = {"path": str(files / OWN / "release"), "content": content}
    run = {"command": "sh", "args": ["-c", "echo deployed"]}
    return [
        say("begin"),
        {"name": "write", "type": "file_write", "params": write},
        {"name": "deploy", "type": "script", "params": run},
        say("end"),
    ]


def say(name: str) -> dict[str, Any]:
    """Return a step that does nothing but say its name."""
    return {"name": name, "type": "echo", "params": {"message": name}}


def plan_for(servers: Sequence[str], steps: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a plan for all servers at once; patient with a machine that has more servers than cores."""
    return {
        "name": "bench",
        "servers": list(servers),
        "steps": steps,
        "unreachable": {"timeout": "10m"},
    }


def content_of(run: int) -> str:
    """Return what a run writes: new content each time, so that no run finds its work done."""
    return f"release {run}\n"


def make_places(files: Path, servers: Iterable[str]) -> None:
    """Make the folder of each server, which stands for its disk."""
    for server in servers:
        (files / server).mkdir(parents=True)


def require_written(files: Path, servers: Iterable[str], run: int) -> None:
    """Look whether a run did what its time is taken for.

    Raises:
        RuntimeError: A file is missing or holds something else.
    """
    for server in servers:
        path = files / server / "release"
        found = path.read_text() if path.exists() else None
        if found != content_of(run):
            raise RuntimeError(
                f"{path} holds {found!r} instead of {content_of(run)!r}: the time means nothing"
            )
