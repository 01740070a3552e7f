"""What this process holds open, so that a test can see what it has left open."""

import contextlib
import gc
import os
import socket
from collections import Counter
from pathlib import Path

_HERE = Path("/proc/self/fd")


def open_files():
    """Return what is open in this process and how often, by what its descriptors lead to.

    A process that runs many tests closes things of earlier ones whenever garbage is collected, and its Temporal
    clients connect when they like: subtract an earlier look (`open_files() - before`) to see only what is new,
    and expect no connections here.
    """
    gc.collect()
    return Counter(filter(None, map(_target, _HERE.iterdir())))


def _target(link):
    try:
        target = str(link.readlink())
    except FileNotFoundError:  # closed meanwhile, as the listing itself is
        return None
    if target == f"/proc/{os.getpid()}/fd" or _is_connection(int(link.name), target):
        return None
    return target


def _is_connection(descriptor, target):
    if not target.startswith("socket:"):
        return False
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as copy:
        return copy.family in (socket.AF_INET, socket.AF_INET6)
    return False
