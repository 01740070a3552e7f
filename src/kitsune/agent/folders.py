"""Creates the folders that a file needs, and removes them again."""

import stat
from contextlib import suppress
from pathlib import Path

from kitsune.agent.disk import refused, sync_folder
from kitsune.errors import StepFailed


def missing_folders(folder: Path) -> list[Path]:
    """Return what would have to be created for a folder to be there, outermost first.

    Raises:
        StepFailed: A part of the path is there, but is no folder.
    """
    missing: list[Path] = []
    for place in (folder, *folder.parents):
        try:
            found = place.stat()
        except (FileNotFoundError, NotADirectoryError):
            missing.insert(0, place)
            continue
        except OSError as error:
            raise refused(error, place, doing="look at") from error
        if not stat.S_ISDIR(found.st_mode):
            raise StepFailed(f"{str(place)!r} is not a folder", permanent=True)
        break
    return missing


def create_folders(folders: list[Path]) -> None:
    """Create folders with mode 0755, outermost first; one that is there by now is left as it is.

    Raises:
        StepFailed: One cannot be created; those before it are removed again.
    """
    created: list[Path] = []
    for place in folders:
        try:
            with suppress(FileExistsError):
                place.mkdir(mode=0o700)
                created.append(place)
                place.chmod(0o755)
                sync_folder(place.parent)
        except OSError as error:
            with suppress(StepFailed):
                remove_empty_folders(created)
            raise refused(error, place, doing="create the folder") from error


def remove_empty_folders(folders: list[Path]) -> None:
    """Remove folders, innermost first, that are there and empty.

    Raises:
        StepFailed: One cannot be removed although it is empty.
    """
    for place in reversed(folders):
        try:
            place.rmdir()
            sync_folder(place.parent)
        except FileNotFoundError:
            continue
        except OSError as error:
            if place.is_dir() and any(place.iterdir()):
                return
            raise refused(error, place, doing="remove the folder") from error
