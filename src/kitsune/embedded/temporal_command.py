"""The command line of the embedded Temporal server: its binary, its flags, its settings."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from kitsune.embedded.ports import LOOPBACK
from kitsune.errors import EmbeddedServerError

#: What the server is told beyond its defaults (its "dynamic configuration"); values are JSON.
#: The flags set one value for all task queues, so the orchestrator's queue has one partition here, not four.
SETTINGS: Final[Mapping[str, str]] = {
    # A third of the memory and of the idle work; four partitions only pay on a server of many processes.
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    # Long polls of one kind: the default of 1,200 is reached in silence by some hundred agents.
    "frontend.namespaceCount": "40000",
    "frontend.namespaceRPS": "20000",
    "frontend.rps": "20000",
    "frontend.namespaceRPS.visibility": "100",
    "matching.rps": "20000",
    "history.rps": "20000",
    # An abort reaches a step at once, not with its next heartbeat.
    "frontend.WorkerCommandsEnabled": "true",
    "system.enableCancelActivityWorkerCommand": "true",
}
#: Three times as fast as SQLite's defaults, and still safe when the server is killed.
_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL")


def find_binary() -> str:
    """Return the path of the `temporal` command, first the one that was installed beside Kitsune.

    Raises:
        EmbeddedServerError: There is none.
    """
    beside_python = Path(sys.executable).parent
    found = shutil.which(
        "temporal", path=os.pathsep.join([str(beside_python), os.environ.get("PATH", os.defpath)])
    )
    if found is None:
        raise EmbeddedServerError(
            f"no `temporal` command in {str(beside_python)!r} or PATH: pip install 'kitsune-orchestrator[embedded]'"
        )
    return found


def server_command(
    *, port: int, ui_port: int | None, database: Path | None, settings: Mapping[str, str]
) -> Sequence[str]:
    """Return the arguments that start the server on the loopback address.

    Args:
        port: Of the frontend.
        ui_port: Of Temporal UI; None for no UI.
        database: SQLite file; None keeps everything in memory.
        settings: Over `SETTINGS`, values as JSON.
    """
    command = [
        find_binary(),
        "server",
        "start-dev",
        "--ip",
        LOOPBACK,
        "--port",
        str(port),
        "--log-level",
        "error",
    ]
    command += (
        ["--headless"]
        if ui_port is None
        else ["--ui-port", str(ui_port), "--ui-disable-news-fetch"]
    )
    if database:
        command += ["--db-filename", str(database)]
        for pragma in _PRAGMAS:
            command += ["--sqlite-pragma", pragma]
    for key, value in {**SETTINGS, **settings}.items():
        command += ["--dynamic-config-value", f"{key}={value}"]
    return command
