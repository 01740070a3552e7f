"""A folder for one command: gone when the command ends well or by Ctrl-C, kept when there is something to find in it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kitsune.cli.console import print_line, stderr_console
from kitsune.errors import KitsuneError


@dataclass
class TemporaryFolder:
    """The folder; set `keep` when somebody should look into it afterwards."""

    path: Path
    keep: bool = False


@contextmanager
def temporary_folder(purpose: str) -> Iterator[TemporaryFolder]:
    """Make a folder that only we may enter; a `KitsuneError` keeps it, for its logs."""
    folder = TemporaryFolder(Path(tempfile.mkdtemp(prefix=f"kitsune-{purpose}-")))
    try:
        yield folder
    except KitsuneError:
        folder.keep = True
        raise
    finally:
        if folder.keep:
            print_line(stderr_console(), f"logs are kept in {folder.path / 'logs'}")
        else:
            shutil.rmtree(folder.path, ignore_errors=True)
