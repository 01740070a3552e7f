"""Worlds for fault tests, and a record of how long recovery took."""

import contextlib
import shutil
import time
from pathlib import Path

import pytest

from faults.harness import World
from support.matrix_report import RECOVERY


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One world for the tests of a module; each test brings servers of its own."""
    with _world(tmp_path_factory) as world:
        yield world


@pytest.fixture
def own_world(tmp_path_factory):
    """A world for one test alone, where Temporal itself is at stake."""
    with _world(tmp_path_factory) as world:
        yield world


@contextlib.contextmanager
def _world(factory):
    folder: Path = factory.mktemp("world")
    with World(folder) as world:
        yield world
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def record_recovery(request):
    """Record what a fault test expected and saw: `with record_recovery("R1", expected=...) as seen: ...`.

    The time to recover is that of the block; `seen("...")` says in words what was observed.
    """

    @contextlib.contextmanager
    def record(row, *, expected):
        entry = {"row": row, "expected": expected, "seen": "", "test": request.node.nodeid}
        began = time.monotonic()
        yield lambda words: entry.update(seen=str(words))
        entry["seconds"] = round(time.monotonic() - began, 1)
        request.node.user_properties.append((RECOVERY, entry))

    return record
