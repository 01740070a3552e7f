"""Single keys from a terminal, without waiting for Enter; the terminal is given back as it was."""

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Callable
from typing import Any


class Keyboard:
    """Reads keys while it is open.

    The terminal still makes signals of Ctrl-C and Ctrl-Z.
    In the background it leaves the terminal alone: that belongs to somebody else then.
    """

    def __init__(self, on_key: Callable[[str], None]) -> None:
        self._on_key = on_key
        self._fd: int | None = None
        self._before: list[Any] | None = None
        with contextlib.suppress(OSError, ValueError):  # closed, or none at all
            if sys.stdin.isatty():
                self._fd = sys.stdin.fileno()

    @property
    def is_there(self) -> bool:
        """Whether there is a keyboard."""
        return self._fd is not None

    def open(self) -> None:
        """Take single keys from now on; does nothing where that is not possible."""
        if self._fd is None or self._before is not None or not in_foreground(self._fd):
            return
        try:
            before = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd, termios.TCSANOW)
        except termios.error:
            self._fd = None
            return
        self._before = before
        asyncio.get_running_loop().add_reader(self._fd, self._read)

    def close(self) -> None:
        """Give the terminal back."""
        if self._fd is None or self._before is None:
            return
        asyncio.get_running_loop().remove_reader(self._fd)
        before, self._before = self._before, None
        with contextlib.suppress(termios.error):  # it has gone, and its settings with it
            termios.tcsetattr(self._fd, termios.TCSANOW, before)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 1024) if self._fd is not None else b""
        except OSError:
            data = b""
        if not data:  # the terminal has gone
            self.close()
            self._fd = None
            return
        self._on_key(data.decode(errors="replace"))


def in_foreground(fd: int) -> bool:
    """Return whether this process may use a terminal now, and not a shell or another job.

    A terminal that does not control this process has no jobs.
    """
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return True
