"""What a `file_write` step would change, without touching anything."""

import grp
import hashlib
import os
import pwd
import stat
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from kitsune.agent.disk import refused
from kitsune.agent.files import has_content, open_folder, open_regular, sha256_of
from kitsune.agent.traits import FileTraits
from kitsune.handlers.file_target import FileTarget
from kitsune.handlers.file_write_params import FileWriteParams
from kitsune.handlers.text_diff import unified_diff
from kitsune.models.checks import CheckResult

#: Of larger files only size and sha256 are told.
_LARGEST = 256 * 1024
#: Hexadecimal digits that are shown of a sha256.
_DIGITS = 16
_TOO_LARGE = "too large for a diff"
_PRIVATE = "not everybody on the server may read this file, so its content is not shown (--reveal shows it)"


def compare_file(params: FileWriteParams, *, reveal: bool) -> CheckResult:
    """Return what would change; blocks.

    Args:
        params: What shall be.
        reveal: Show the content of a file as well that not everybody on this server may read.

    Raises:
        StepFailed: The step would fail.
    """
    target = FileTarget.of(params)
    try:
        if missing := target.missing_folders():
            created = [f"creates the folder {str(folder)!r}" for folder in missing]
            return _new(target, *created, reveal=reveal)
        with open_folder(target.path.parent) as folder, open_regular(folder, target.path) as old:
            if old is None:
                return _new(target, reveal=reveal)
            return _changed(target, old, reveal=reveal)
    except OSError as error:
        raise refused(error, target.path, doing="look at") from error


def _new(target: FileTarget, *changes: str, reveal: bool) -> CheckResult:
    traits = target.traits(None)
    facts = [f"creates {str(target.path)!r}, {len(target.content):,} bytes, mode {traits.mode:04o}"]
    if traits.uid is not None:
        facts.append(f"owner {_user(traits.uid)}")
    if traits.gid is not None:
        facts.append(f"group {_group(traits.gid)}")
    private = not traits.mode & stat.S_IROTH and not reveal
    diff, note = _difference(target.path, b"", target.content, private=private)
    return CheckResult.differs(*changes, ", ".join(facts), diff=diff, note=note)


def _changed(target: FileTarget, old: FileIO, *, reveal: bool) -> CheckResult:
    found, wanted = FileTraits.of(old), target.traits(old)
    changes = list(_changed_traits(found, wanted))
    if has_content(old, target.content):
        return CheckResult.differs(*changes) if changes else CheckResult.identical()
    size = os.fstat(old.fileno()).st_size
    open_to_all = found.mode & wanted.mode & stat.S_IROTH and _is_reachable(target.path)
    private = not open_to_all and not reveal
    new_sum = hashlib.sha256(target.content).hexdigest()
    sums = "" if private else f", sha256 {sha256_of(old)[:_DIGITS]}… → {new_sum[:_DIGITS]}…"
    changes.append(f"content {size:,} → {len(target.content):,} bytes{sums}")
    if size > _LARGEST and not private:
        return CheckResult.differs(*changes, note=_TOO_LARGE)
    old.seek(0)
    diff, note = _difference(target.path, old.read(_LARGEST), target.content, private=private)
    return CheckResult.differs(*changes, diff=diff, note=note)


def _difference(path: Path, before: bytes, after: bytes, *, private: bool) -> tuple[str, str]:
    """Return a diff, or why there is none."""
    if private:
        return "", _PRIVATE
    if max(len(before), len(after)) > _LARGEST:
        return "", _TOO_LARGE
    try:
        texts = [_text(data) for data in (before, after)]
    except ValueError:
        return "", "binary: no diff"
    return unified_diff(texts[0], texts[1], name=str(path))


def _is_reachable(path: Path) -> bool:
    """Return whether everybody on this server may pass through the folders of a real path."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)


def _text(data: bytes) -> str:
    """Return bytes as text.

    Raises:
        ValueError: They are none.
    """
    if b"\0" in data:
        raise ValueError("binary")
    return data.decode()


def _changed_traits(found: FileTraits, wanted: FileTraits) -> Iterator[str]:
    if found.mode != wanted.mode:
        yield f"mode {found.mode:04o} → {wanted.mode:04o}"
    if found.uid != wanted.uid:
        yield f"owner {_user(found.uid)} → {_user(wanted.uid)}"
    if found.gid != wanted.gid:
        yield f"group {_group(found.gid)} → {_group(wanted.gid)}"


def _user(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid).pw_name if uid is not None else "?"
    except KeyError:
        return str(uid)


def _group(gid: int | None) -> str:
    try:
        return grp.getgrgid(gid).gr_name if gid is not None else "?"
    except KeyError:
        return str(gid)
