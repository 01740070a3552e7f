"""Notes what is renamed and what is made durable, in order: what a power cut leaves is decided by that."""

import os
from pathlib import Path

import pytest


class DiskLog:
    """What this process asks the disk for.

    Attributes:
        events: `sync NAME` and `rename OLD NEW`, by path below the root.
    """

    def __init__(self, root):
        self._root = root
        self.events = []

    def note(self, what):
        self.events.append(what)

    def name(self, place, folder=None):
        if isinstance(place, int):
            place = Path(f"/proc/self/fd/{place}").readlink()
        elif folder is not None:
            place = Path(f"/proc/self/fd/{folder}").readlink() / place
        return str(Path(place).relative_to(self._root))

    def assert_order(self, *events):
        """Assert that events happened, in this order; others may lie between them."""
        left = iter(self.events)
        for event in events:
            assert event in left, f"{event!r} is missing or too late in {self.events}"


@pytest.fixture
def disk_log(tmp_path, monkeypatch):
    """Log what happens below `tmp_path`."""
    log = DiskLog(tmp_path)
    sync, rename = os.fsync, os.rename

    def logged_sync(descriptor):
        sync(descriptor)
        log.note(f"sync {log.name(descriptor)}")

    def logged_rename(old, new, *, src_dir_fd=None, dst_dir_fd=None):
        names = log.name(old, src_dir_fd), log.name(new, dst_dir_fd)
        rename(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        log.note(f"rename {names[0]} {names[1]}")

    monkeypatch.setattr(os, "fsync", logged_sync)
    monkeypatch.setattr(os, "rename", logged_rename)
    return log
