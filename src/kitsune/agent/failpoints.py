"""Places where a test may kill or delay the agent: `KITSUNE_FAILPOINTS="journal.before_begin=kill;shim.ready=sleep:5"`."""

import os
import signal
import time

from kitsune.names import ENV_FAILPOINTS

#: Every place, so that a test can walk over all.
FAIL_POINTS = frozenset(
    {
        "step.delivered",
        "journal.before_begin",
        "journal.after_begin",
        "journal.before_end",
        "journal.after_end",
        "shim.ready",
        "shim.recorded",
        "shim.going",
        "shim.ended",
        "undo.before_record",
        "undo.after_record",
        "file.after_temp",
        "file.after_rename",
    }
)

_LOOK_SECONDS = 0.05


def failpoint(name: str) -> None:
    """Do what the environment says for this place: nothing, outside of tests."""
    written = os.environ.get(ENV_FAILPOINTS)
    if written is None:
        return
    action = dict(entry.split("=", 1) for entry in written.split(";") if entry).get(name, "")
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action.startswith("sleep:"):
        time.sleep(float(action.removeprefix("sleep:")))
    elif action.startswith("until:"):  # a file is there
        while not os.path.exists(action.removeprefix("until:")):  # noqa: PTH110 - it may be no path at all
            time.sleep(_LOOK_SECONDS)
