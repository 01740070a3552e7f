"""Become a command that ends when its parent ends, even when the parent is killed with -9.

Run as a file of its own, `python -I -S die_with_parent.py PARENT COMMAND...`, because the kernel keeps this wish per
process: it must be made between fork and exec. Doing that in a `preexec_fn` may deadlock in a process with threads, and
Temporal's client has threads. It imports nothing of Kitsune and takes 20 ms.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main(arguments: list[str]) -> None:
    """Ask the kernel for SIGTERM when the parent ends, then become the command.

    Args:
        arguments: The parent's process id, then the command; a parent that is gone already ends us at once.
    """
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)
    try:
        os.execv(command[0], command)  # noqa: S606 - the command is our caller's own
    except OSError as error:
        sys.exit(f"cannot start {command[0]!r}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
