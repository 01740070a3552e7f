"""Says whether a file is still as a step has left it."""

import os
import stat
from io import FileIO
from pathlib import Path
from typing import Any

from kitsune.agent.files import sha256_of
from kitsune.agent.undo import UndoRecord
from kitsune.errors import StepFailed


def check_unchanged(now: FileIO | None, undo: UndoRecord) -> None:
    """Go on where a file is as the step wrote it, or as it was before; blocks.

    Content, mode, owner and group count, and whether it is there at all; its time does not.

    Raises:
        StepFailed: Somebody else has changed it.
    """
    changes = _changes(now, undo)
    if not changes or _is_as_before(now, undo):
        return
    kept = (
        "before the step there was no such file"
        if undo.blob is None
        else f"the one from before the step is kept in {str(undo.blob)!r}"
    )
    raise StepFailed(
        f"conflict: {undo.facts['path']!r} was changed by somebody else since this step wrote it "
        f"({', '.join(changes)}); nothing was touched, and {kept} (to lose the change, roll back with --force)",
        permanent=True,
    )


def _changes(now: FileIO | None, undo: UndoRecord) -> list[str]:
    if now is None:
        return ["it was removed"]
    wrong = _differences(
        now, undo.facts.get("new") or {}
    )  # records of older local workers hold no `new`
    if sha256_of(now) != undo.facts["newSha256"]:
        wrong.insert(0, "other content")
    return wrong


def _is_as_before(now: FileIO | None, undo: UndoRecord) -> bool:
    """Return whether nothing is to be undone: the step never wrote it, or the undo was interrupted after its end."""
    if now is None or undo.facts["old"] is None or undo.blob is None:
        return now is None and undo.facts["old"] is None
    return not _differences(now, undo.facts["old"]) and _same_content(now, undo.blob)


def _same_content(now: FileIO, blob: Path) -> bool:
    with blob.open("rb", buffering=0) as kept:
        return sha256_of(now) == sha256_of(kept)


def _differences(now: FileIO, wanted: dict[str, Any]) -> list[str]:
    found = os.fstat(now.fileno())
    mode = stat.S_IMODE(found.st_mode)
    wrong = []
    if wanted.get("mode") not in (None, mode):
        wrong.append(f"mode {mode:04o} instead of {wanted['mode']:04o}")
    for key, word, there in (("uid", "owner", found.st_uid), ("gid", "group", found.st_gid)):
        if wanted.get(key) not in (None, there):
            wrong.append(f"{word} {there} instead of {wanted[key]}")
    return wrong
