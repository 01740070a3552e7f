"""The file that a `file_write` step means: where it is on this server, and what it shall be."""

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path

from kitsune.agent import folders
from kitsune.agent.accounts import find_group_id, find_user_id
from kitsune.agent.disk import refused
from kitsune.agent.files import has_content
from kitsune.agent.traits import FileTraits
from kitsune.errors import StepFailed
from kitsune.handlers.file_write_params import FileWriteParams

_NEW_FILE_MODE = 0o644


@dataclass(frozen=True)
class FileTarget:
    """A file as it shall be; all of it blocks.

    Attributes:
        path: Its real path.
        content: Its bytes.
        mode, owner, group: What they shall be; None: as they are, or what a new file gets.
        create_parents: Missing folders shall be created.
    """

    path: Path
    content: bytes
    mode: int | None
    owner: int | None
    group: int | None
    create_parents: bool

    @classmethod
    def of(cls, params: FileWriteParams) -> "FileTarget":
        """Find the file that params mean.

        Raises:
            StepFailed: The path leads to no file that may be written, or an account is unknown.
        """
        return cls(
            content=params.new_content,
            mode=params.mode_bits,
            owner=None if params.owner is None else find_user_id(params.owner),
            group=None if params.group is None else find_group_id(params.group),
            path=_place(params),
            create_parents=params.create_parents,
        )

    def missing_folders(self) -> list[Path]:
        """Return the folders that have to be created, outermost first.

        Raises:
            StepFailed: There are some, and they shall not be created.
        """
        missing = folders.missing_folders(self.path.parent)
        if missing and not self.create_parents:
            raise StepFailed(
                f"the folder {str(self.path.parent)!r} does not exist (create it first, or set createParents: true)",
                permanent=True,
            )
        return missing

    def traits(self, old: FileIO | None) -> FileTraits:
        """Return what the new file shall be: what the params say, else what the old one is."""
        kept = FileTraits(mode=_NEW_FILE_MODE) if old is None else FileTraits.of(old)
        return replace(
            kept.for_other_bytes(),
            mode=kept.mode if self.mode is None else self.mode,
            uid=kept.uid if self.owner is None else self.owner,
            gid=kept.gid if self.group is None else self.group,
        )

    def is_there(self, old: FileIO) -> bool:
        """Return whether a file is as it shall be already."""
        found, wanted = FileTraits.of(old), self.traits(old)
        same = (found.mode, found.uid, found.gid) == (wanted.mode, wanted.uid, wanted.gid)
        return same and has_content(old, self.content)


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
