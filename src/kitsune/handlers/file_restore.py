"""Brings back a file that a step has replaced."""

from io import FileIO
from pathlib import Path

from kitsune.agent.disk import refused, sync_folder
from kitsune.agent.files import (
    copy_content,
    open_folder,
    open_regular,
    remove_file,
    replace_file,
    sha256_of,
    temporary_name,
)
from kitsune.agent.folders import remove_empty_folders
from kitsune.agent.threads import Stop
from kitsune.agent.traits import FileTraits
from kitsune.agent.undo import UndoRecord
from kitsune.handlers.base import StepContext
from kitsune.handlers.file_conflicts import check_unchanged


def restore_file(undo: UndoRecord, ctx: StepContext, stop: Stop) -> None:
    """Bring back the file of an undo record, or that there was none; blocks.

    Done twice, it changes nothing the second time.

    Raises:
        StepFailed: Something else than a file is there now, the disk refused, or conflicts are to be refused and
            somebody else has changed the file.
    """
    path = Path(undo.facts["path"])
    created = [Path(folder) for folder in undo.facts["createdFolders"]]
    try:
        with open_folder(path.parent) as folder:
            _restore_in(folder, path, undo, ctx, stop)
    except FileNotFoundError as error:
        if undo.facts["old"] is not None:
            raise refused(error, path.parent, doing="restore a file in") from error
    except OSError as error:
        needed = undo.facts["oldBytes"]
        raise refused(error, path, doing="restore", needed=needed) from error
    remove_empty_folders(created)


def _restore_in(folder: int, path: Path, undo: UndoRecord, ctx: StepContext, stop: Stop) -> None:
    with open_regular(folder, path) as now:
        if ctx.refuse_conflicts:
            check_unchanged(now, undo)
        remove_file(folder, undo.facts["temporary"])
        if undo.facts["old"] is None or undo.blob is None:
            if now is not None:
                _warn_of_other_hands(now, undo, ctx)
                remove_file(folder, path.name)
                sync_folder(folder)
            return
        traits = FileTraits.from_facts(undo.facts["old"])
        with undo.blob.open("rb", buffering=0) as kept:
            if (
                now is not None
                and FileTraits.of(now) == traits
                and sha256_of(now) == sha256_of(kept)
            ):
                return
            if now is not None:
                _warn_of_other_hands(now, undo, ctx)
            replace_file(
                folder,
                path,
                temporary=temporary_name(ctx.operation_id),
                traits=traits,
                fill=lambda descriptor: copy_content(kept, descriptor, stop=stop),
                stop=stop,
            )


def _warn_of_other_hands(now: FileIO, undo: UndoRecord, ctx: StepContext) -> None:
    if sha256_of(now) != undo.facts["newSha256"]:
        ctx.log.warning(
            "%r was changed by somebody else since this step wrote it: that is lost",
            undo.facts["path"],
        )
