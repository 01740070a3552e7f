"""Undo records: what a rollback needs, kept on the server's own disk before anything is changed."""

import hashlib
import json
import os
import re
import shutil
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from kitsune.agent.disk import CHUNK, refused, sync_folder, write_all
from kitsune.agent.failpoints import failpoint
from kitsune.agent.threads import Stop, in_thread
from kitsune.errors import StepFailed

_MANIFEST = "manifest.json"
_BLOB = "content"
_OPERATION_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_KEEP = "keep what a rollback of this step needs (so nothing was changed) in"
_PRIVATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class UndoRecord:
    """What a handler kept.

    Attributes:
        facts: What it found, as JSON.
        blob: A copy of a file's bytes, or None where none was kept.
        sha256: Over facts and bytes.
    """

    facts: dict[str, Any]
    blob: Path | None
    sha256: str


class UndoStore:
    """A folder of undo records, one per operation; each is whole or not there.

    All methods touch the disk and block: call them in a thread.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keeper(self, operation_id: str) -> "UndoKeeper":
        """Return what keeps the record of one operation; touches nothing yet."""
        self._place(operation_id)
        return UndoKeeper(self, operation_id)

    def keep(
        self,
        operation_id: str,
        facts: Mapping[str, Any],
        *,
        blob: Path | FileIO | None,
        stop: Stop | None = None,
    ) -> UndoRecord:
        """Keep a record; where there is one already, return that one, untouched.

        Raises:
            StepFailed: It cannot be kept (disk full, read-only) or the one that is there is damaged.
        """
        place = self._place(operation_id)
        if kept := self.load(operation_id):
            self.sync()
            return kept
        draft = self._folder / f".{operation_id}.new"
        with ExitStack() as stack:
            source = None if blob is None else stack.enter_context(_opened(blob))
            size = None if source is None else os.fstat(source.fileno()).st_size
            stack.callback(shutil.rmtree, draft, ignore_errors=True)
            try:
                self._create_folder()
                if draft.exists():  # an agent died while it kept this very record
                    shutil.rmtree(draft)
                _write_draft(draft, facts, source, stop or Stop())
                failpoint("undo.before_record")
                draft.rename(place)
                sync_folder(self._folder)
                failpoint("undo.after_record")
            except OSError as error:
                raise refused(error, self._folder, doing=_KEEP, needed=size) from error
        return self._record(operation_id, self._manifest(operation_id))

    def load(self, operation_id: str) -> UndoRecord | None:
        """Return what was kept for an operation, checked to the last byte, or None where nothing was.

        Raises:
            StepFailed: The record is damaged, or cannot be read.
        """
        if not self._place(operation_id).exists():
            return None
        manifest = self._manifest(operation_id)
        record = self._record(operation_id, manifest)
        if record.blob is not None and _digest(record.blob) != manifest["content"]["sha256"]:
            raise self._damaged(operation_id, "the bytes that it kept are not what they were")
        return record

    def sync(self) -> None:
        """Make records durable that are there: whoever kept them may have died just before that.

        Raises:
            StepFailed: The disk refuses.
        """
        try:
            sync_folder(self._folder)
        except OSError as error:
            raise refused(error, self._folder, doing=_KEEP) from error

    def reference(self, operation_id: str) -> dict[str, str] | None:
        """Return the few bytes that a workflow carries for a record, or None where nothing was kept.

        Raises:
            StepFailed: The record is damaged, or cannot be read.
        """
        if not self._place(operation_id).exists():
            return None
        return {"id": operation_id, "sha256": self._manifest(operation_id)["sha256"]}

    def _place(self, operation_id: str) -> Path:
        if not _OPERATION_ID.fullmatch(operation_id):
            raise ValueError(f"not an operation id: {operation_id!r}")
        return self._folder / operation_id

    def _create_folder(self) -> None:
        if not self._folder.exists():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_folder(self._folder.parent)

    def _manifest(self, operation_id: str) -> dict[str, Any]:
        path = self._place(operation_id) / _MANIFEST
        try:
            manifest = json.loads(path.read_bytes())
            intact = manifest["sha256"] == _checksum(manifest)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self._damaged(operation_id, "its manifest is gone") from error
        except OSError as error:
            raise refused(error, path, doing="read what was kept for a rollback in") from error
        except (ValueError, LookupError, TypeError) as error:
            raise self._damaged(operation_id, "its manifest is no manifest any more") from error
        if not intact:
            raise self._damaged(operation_id, "its manifest does not match its checksum")
        return dict(manifest)

    def _record(self, operation_id: str, manifest: Mapping[str, Any]) -> UndoRecord:
        blob = None if manifest["content"] is None else self._place(operation_id) / _BLOB
        return UndoRecord(facts=manifest["facts"], blob=blob, sha256=manifest["sha256"])

    def _damaged(self, operation_id: str, why: str) -> StepFailed:
        place = str(self._place(operation_id))
        return StepFailed(
            f"the undo record {place!r} is damaged ({why}): restore by hand what the step changed",
            permanent=True,
        )


class UndoKeeper:
    """Keeps the undo record of one operation, before the handler changes anything."""

    def __init__(self, store: UndoStore, operation_id: str) -> None:
        self._store = store
        self._operation_id = operation_id
        self._lock = threading.Lock()
        self._record: UndoRecord | None = None

    @property
    def record(self) -> UndoRecord | None:
        """What was kept, by this execution or by one before it; reads the disk when asked first."""
        with self._lock:
            if self._record is None:
                self._record = self._store.load(self._operation_id)
            return self._record

    async def keep(
        self, facts: Mapping[str, Any], *, blob: Path | FileIO | None = None
    ) -> UndoRecord:
        """Keep what a rollback will need; returns when it would survive a power cut.

        Only the first call of an operation counts: a step that runs again, because its agent died, gets back
        what the first run found, and not what that run itself had changed by then.

        Args:
            facts: A small JSON mapping.
            blob: A regular file whose bytes are copied: its path (no symbolic link), or the open file.

        Raises:
            StepFailed: It cannot be kept; change nothing then.
        """
        return await in_thread(lambda stop: self.keep_now(facts, blob=blob, stop=stop))

    def keep_now(
        self,
        facts: Mapping[str, Any],
        *,
        blob: Path | FileIO | None = None,
        stop: Stop | None = None,
    ) -> UndoRecord:
        """Keep it like `keep`, for code that runs in a thread already."""
        with self._lock:
            if self._record is None:
                self._record = self._store.keep(self._operation_id, facts, blob=blob, stop=stop)
            else:
                self._store.sync()
            return self._record


def _write_draft(draft: Path, facts: Mapping[str, Any], source: FileIO | None, stop: Stop) -> None:
    draft.mkdir(mode=0o700)
    content = None if source is None else _copy(source, draft / _BLOB, stop)
    written = json.loads(json.dumps(dict(facts), allow_nan=False))  # as it will be read again
    manifest: dict[str, Any] = {"version": 1, "facts": written, "content": content}
    manifest["sha256"] = _checksum(manifest)
    with _created(draft / _MANIFEST) as descriptor:
        write_all(descriptor, _canonical(manifest))
    sync_folder(draft)
    stop.check()


def _checksum(manifest: Mapping[str, Any]) -> str:
    """Return the sha256 of a manifest without its checksum; it covers the bytes by their own sha256."""
    rest = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(_canonical(rest)).hexdigest()


def _canonical(manifest: Mapping[str, Any]) -> bytes:
    return json.dumps(manifest, sort_keys=True, allow_nan=False, separators=(",", ":")).encode()


def _digest(blob: Path) -> str | None:
    """Return the sha256 of kept bytes, or None where they are gone."""
    try:
        with blob.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refused(error, blob, doing="read what was kept for a rollback in") from error


def _copy(source: FileIO, target: Path, stop: Stop) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    source.seek(0)
    with _created(target) as descriptor:
        while chunk := source.read(CHUNK):
            stop.check()
            write_all(descriptor, chunk)
            digest.update(chunk)
            size += len(chunk)
    return {"bytes": size, "sha256": digest.hexdigest()}


@contextmanager
def _created(path: Path) -> Iterator[int]:
    """Create a file that only we can read; synced at the end."""
    descriptor = os.open(path, _PRIVATE, 0o600)
    try:
        yield descriptor
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _opened(blob: Path | FileIO) -> Iterator[FileIO]:
    if not isinstance(blob, Path):
        yield blob
        return
    try:
        if not stat.S_ISREG(blob.lstat().st_mode):  # asked first: opening a device may act on it
            message = f"cannot keep a copy of {str(blob)!r}: not a regular file"
            raise StepFailed(message, permanent=True)
        descriptor = os.open(blob, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise refused(error, blob, doing="keep a copy of") from error
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        yield file
