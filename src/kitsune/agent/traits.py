"""What a file is beside its bytes: mode, owner, time, extended attributes."""

import base64
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Any

from kitsune.errors import StepFailed

#: Attributes that vouch for the bytes of a file: other bytes must not inherit them.
_OF_CONTENT = {"security.capability", "security.evm", "security.ima"}


@dataclass(frozen=True, kw_only=True)
class FileTraits:
    """What a file is beside its name and its bytes.

    Attributes:
        mode: Permission bits, set-user-id and the like included.
        uid: The owner; None for whoever creates it.
        gid: The group; None for what the file system gives.
        mtime_ns: When it was last written; None for "when it is written now".
        attributes: Extended attributes (access lists, security labels); None for what the file system gives.
    """

    mode: int
    uid: int | None = None
    gid: int | None = None
    mtime_ns: int | None = None
    attributes: Mapping[str, bytes] | None = None

    @classmethod
    def of(cls, file: FileIO) -> "FileTraits":
        """Return the traits of an open file."""
        found = os.fstat(file.fileno())
        return cls(
            mode=stat.S_IMODE(found.st_mode),
            uid=found.st_uid,
            gid=found.st_gid,
            mtime_ns=found.st_mtime_ns,
            attributes=_attributes(file.fileno()),
        )

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "FileTraits":
        """Return what `facts` wrote down."""
        attributes = {k: base64.b64decode(v) for k, v in facts["attributes"].items()}
        return cls(
            mode=facts["mode"],
            uid=facts["uid"],
            gid=facts["gid"],
            mtime_ns=facts["mtimeNs"],
            attributes=attributes,
        )

    def facts(self) -> dict[str, Any]:
        """Return the traits as JSON."""
        attributes = {k: base64.b64encode(v).decode() for k, v in (self.attributes or {}).items()}
        return {
            "mode": self.mode,
            "uid": self.uid,
            "gid": self.gid,
            "mtimeNs": self.mtime_ns,
            "attributes": attributes,
        }

    def for_other_bytes(self) -> "FileTraits":
        """Return the traits that stay when the bytes change."""
        kept = {k: v for k, v in (self.attributes or {}).items() if k not in _OF_CONTENT}
        return replace(self, mtime_ns=None, attributes=kept)


def give_traits(descriptor: int, path: Path, traits: FileTraits) -> None:
    """Give an open file its traits; the order matters: a new owner clears bits of the mode.

    Args:
        descriptor: Of the file.
        path: What to call it in messages.
        traits: What it becomes.

    Raises:
        StepFailed: Not for this agent to do, or not for this file system.
        OSError: The disk refused.
    """
    _give_owner(descriptor, path, traits)
    if traits.attributes is not None:
        _give_attributes(descriptor, traits.attributes)
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != traits.mode:  # some file systems have one only
        os.fchmod(descriptor, traits.mode)
    taken = stat.S_IMODE(os.fstat(descriptor).st_mode)
    if taken != traits.mode:
        raise StepFailed(
            f"the file system of {str(path)!r} made mode {taken:04o} of {traits.mode:04o}",
            permanent=True,
        )
    if traits.mtime_ns is not None:
        os.utime(descriptor, ns=(os.fstat(descriptor).st_atime_ns, traits.mtime_ns))


def _give_owner(descriptor: int, path: Path, traits: FileTraits) -> None:
    found = os.fstat(descriptor)
    uid = found.st_uid if traits.uid is None else traits.uid
    gid = found.st_gid if traits.gid is None else traits.gid
    if (found.st_uid, found.st_gid) == (uid, gid):
        return
    try:
        os.fchown(descriptor, uid, gid)
    except PermissionError as error:
        raise StepFailed(
            f"cannot give {str(path)!r} to owner {uid}, group {gid}: this local worker runs as "
            f"uid {os.geteuid()}, and only root may give files away",
            permanent=True,
        ) from error


def _attributes(descriptor: int) -> dict[str, bytes]:
    found = {}
    with suppress(OSError):  # not every file system has them
        for name in os.listxattr(descriptor):
            with suppress(OSError):
                found[name] = os.getxattr(descriptor, name)
    return found


def _give_attributes(descriptor: int, wanted: Mapping[str, bytes]) -> None:
    there = _attributes(descriptor)
    for name in there.keys() - wanted.keys():
        with suppress(OSError):  # such as a label that the kernel insists on
            os.removexattr(descriptor, name)
    for name, value in wanted.items():
        if there.get(name) != value:
            with suppress(OSError):  # not supported here, or not ours to set
                os.setxattr(descriptor, name, value)
