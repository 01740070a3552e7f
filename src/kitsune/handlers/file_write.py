"""The `file_write` step: puts a file in its place, and brings the old one back."""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Any, ClassVar

from kitsune.agent.accounts import find_group_id, find_user_id
from kitsune.agent.disk import refused, sync_folder, write_all
from kitsune.agent.files import (
    has_content,
    open_folder,
    open_regular,
    replace_file,
    temporary_name,
)
from kitsune.agent.folders import create_folders, missing_folders, remove_empty_folders
from kitsune.agent.threads import Stop, in_thread
from kitsune.agent.traits import FileTraits
from kitsune.agent.undo import UndoRecord
from kitsune.errors import StepFailed
from kitsune.handlers.base import Reversible, StepContext, StepHandler
from kitsune.handlers.file_restore import restore_file
from kitsune.handlers.file_write_params import FileWriteParams

_NEW_FILE_MODE = 0o644


class FileWriteHandler(StepHandler[FileWriteParams]):
    """Writes files."""

    type: ClassVar[str] = "file_write"
    params_model = FileWriteParams
    idempotent: ClassVar[bool] = True
    quick: ClassVar[bool] = True
    reversible: ClassVar[Reversible] = "full"

    async def execute(self, params: FileWriteParams, ctx: StepContext) -> Mapping[str, Any]:
        """Write the file; the outputs say whether that changed it.

        Raises:
            StepFailed: The path leads to no regular file, an account is unknown, or the disk refused;
                the old file is then as it was.
        """
        return await in_thread(lambda stop: _Writing(params, ctx, stop).run())

    async def rollback(
        self, params: FileWriteParams, undo: UndoRecord | None, ctx: StepContext
    ) -> None:
        """Bring back what was there, or that nothing was; where nothing was changed, do nothing.

        Raises:
            StepFailed: Something else than a file is there now, or the disk refused.
        """
        del params
        if undo is not None:
            await in_thread(lambda stop: restore_file(undo, ctx, stop))


class _Writing:
    """One execution; all of it blocks."""

    def __init__(self, params: FileWriteParams, ctx: StepContext, stop: Stop) -> None:
        self._params, self._undo, self._stop = params, ctx.undo, stop
        self._content = params.new_content
        self._owner = None if params.owner is None else find_user_id(params.owner)
        self._group = None if params.group is None else find_group_id(params.group)
        self._path = _place(params)
        self._temporary = temporary_name(ctx.operation_id)
        self._warnings: list[str] = []

    def run(self) -> dict[str, Any]:
        """Write the file and return the outputs."""
        missing = missing_folders(self._path.parent)
        if missing and not self._params.create_parents:
            raise StepFailed(
                f"the folder {str(self._path.parent)!r} does not exist (create it first, or set createParents: true)",
                permanent=True,
            )
        try:
            record = self._replace(missing)
        except OSError as error:
            raise refused(error, self._path, doing="write", needed=len(self._content)) from error
        return self._outputs(record)

    def _replace(self, missing: list[Path]) -> UndoRecord | None:
        """Keep what is there and replace it; return the undo record, or None where nothing was to be changed."""
        if missing:
            record = self._keep(None, missing)
            create_folders(missing)
            try:
                with open_folder(self._path.parent) as folder:
                    self._write(folder, None)
            except BaseException:
                with suppress(StepFailed):
                    remove_empty_folders(missing)
                raise
            return record
        with open_folder(self._path.parent) as folder, open_regular(folder, self._path) as old:
            done = old is not None and self._is_done(old)
            if done and self._undo.record is None:
                return None
            record = self._keep(old, missing)
            if done:
                sync_folder(folder)  # the run before this one may have died just before it did
            else:
                self._write(folder, old)
            return record

    def _is_done(self, old: FileIO) -> bool:
        found, wanted = FileTraits.of(old), self._traits(old)
        same = (found.mode, found.uid, found.gid) == (wanted.mode, wanted.uid, wanted.gid)
        return same and has_content(old, self._content)

    def _keep(self, old: FileIO | None, missing: list[Path]) -> UndoRecord:
        facts = {
            "path": str(self._path),
            "temporary": self._temporary,
            "createdFolders": [str(folder) for folder in missing],
            "old": None if old is None else FileTraits.of(old).facts(),
            "oldBytes": 0 if old is None else os.fstat(old.fileno()).st_size,
            "newSha256": hashlib.sha256(self._content).hexdigest(),
            "new": self._written(old),
        }
        record = self._undo.keep_now(facts, blob=old, stop=self._stop)
        if record.facts["path"] != str(self._path):
            raise StepFailed(
                f"{self._params.path!r} led to {record.facts['path']!r} when this step began and leads to "
                f"{str(self._path)!r} now: nothing more was changed",
                permanent=True,
            )
        return record

    def _traits(self, old: FileIO | None) -> FileTraits:
        """Return what the new file shall be: what the params say, else what the old one is."""
        kept = FileTraits(mode=_NEW_FILE_MODE) if old is None else FileTraits.of(old)
        mode = self._params.mode_bits
        return replace(
            kept.for_other_bytes(),
            mode=kept.mode if mode is None else mode,
            uid=kept.uid if self._owner is None else self._owner,
            gid=kept.gid if self._group is None else self._group,
        )

    def _written(self, old: FileIO | None) -> dict[str, int | None]:
        """Return what a rollback will find, unless somebody else changes it; None for what is not known yet."""
        traits = self._traits(old)
        return {
            "mode": traits.mode,
            "uid": os.geteuid() if traits.uid is None else traits.uid,
            "gid": traits.gid,
        }

    def _write(self, folder: int, old: FileIO | None) -> None:
        links = 1 if old is None else os.fstat(old.fileno()).st_nlink
        if links > 1:
            others = "1 other name" if links == 2 else f"{links - 1} other names"  # noqa: PLR2004 - itself and one more
            self._warnings.append(
                f"{str(self._path)!r} had {others} (hard links): the old content stays there"
            )
        replace_file(
            folder,
            self._path,
            temporary=self._temporary,
            traits=self._traits(old),
            fill=lambda descriptor: write_all(descriptor, self._content),
            stop=self._stop,
        )

    def _outputs(self, record: UndoRecord | None) -> dict[str, Any]:
        outputs: dict[str, Any] = {
            "path": self._params.path,
            "changed": record is not None,
            "created": record is not None and record.facts["old"] is None,
            "bytes": len(self._content),
            "sha256": hashlib.sha256(self._content).hexdigest(),
        }
        if record is not None:
            outputs["undo"] = record.sha256
        return outputs | ({"warnings": self._warnings} if self._warnings else {})


def _place(params: FileWriteParams) -> Path:
    """Return the real path of the file: its folder without symbolic links, and its own ones only if asked for.

    A rollback must find the same file, even when a link on the way leads elsewhere by then.
    """
    written = Path(params.path)
    try:
        if not written.is_symlink():
            return Path(os.path.realpath(written.parent), written.name)
        if not params.follow_symlinks:
            raise StepFailed(
                f"{params.path!r} is a symbolic link (write the path of its target, or set followSymlinks: true)",
                permanent=True,
            )
        with suppress(FileNotFoundError):  # its target may be still to be written
            written.stat()  # finds links that lead in a circle
    except OSError as error:
        raise refused(error, written, doing="write") from error
    return Path(os.path.realpath(written))
