"""The `file_write` step: puts a file in its place, and brings the old one back."""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, ClassVar

from kitsune.agent.disk import refused, sync_folder, write_all
from kitsune.agent.files import (
    open_folder,
    open_regular,
    replace_file,
    temporary_name,
)
from kitsune.agent.folders import create_folders, remove_empty_folders
from kitsune.agent.threads import Stop, in_thread
from kitsune.agent.traits import FileTraits
from kitsune.agent.undo import UndoRecord
from kitsune.errors import StepFailed
from kitsune.handlers.base import Checkable, CheckContext, Reversible, StepContext, StepHandler
from kitsune.handlers.file_check import compare_file
from kitsune.handlers.file_restore import restore_file
from kitsune.handlers.file_target import FileTarget
from kitsune.handlers.file_write_params import FileWriteParams
from kitsune.models.checks import CheckResult


class FileWriteHandler(StepHandler[FileWriteParams]):
    """Writes files."""

    type: ClassVar[str] = "file_write"
    params_model = FileWriteParams
    idempotent: ClassVar[bool] = True
    quick: ClassVar[bool] = True
    spools: ClassVar[bool] = False
    reversible: ClassVar[Reversible] = "full"
    checkable: ClassVar[Checkable] = "full"

    async def execute(self, params: FileWriteParams, ctx: StepContext) -> Mapping[str, Any]:
        """Write the file; the outputs say whether that changed it.

        Raises:
            StepFailed: The path leads to no regular file, an account is unknown, or the disk refused;
                the old file is then as it was.
        """
        return await in_thread(lambda stop: _Writing(params, ctx, stop).run())

    async def check(self, params: FileWriteParams, ctx: CheckContext) -> CheckResult:
        """Compare the file that is there with the one that shall be.

        Raises:
            StepFailed: As in `execute`.
        """
        return await in_thread(lambda _stop: compare_file(params, reveal=ctx.reveal))

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
        self._target = FileTarget.of(params)
        self._content, self._path = self._target.content, self._target.path
        self._temporary = temporary_name(ctx.operation_id)
        self._warnings: list[str] = []

    def run(self) -> dict[str, Any]:
        """Write the file and return the outputs."""
        missing = self._target.missing_folders()
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
            done = old is not None and self._target.is_there(old)
            if done and self._undo.record is None:
                return None
            record = self._keep(old, missing)
            if done:
                sync_folder(folder)  # the run before this one may have died just before it did
            else:
                self._write(folder, old)
            return record

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

    def _written(self, old: FileIO | None) -> dict[str, int | None]:
        """Return what a rollback will find, unless somebody else changes it; None for what is not known yet."""
        traits = self._target.traits(old)
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
            traits=self._target.traits(old),
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
