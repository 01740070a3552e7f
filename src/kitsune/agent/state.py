"""The state folder of a local worker: one folder, one worker."""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from kitsune.errors import StateFolderTaken, StateFolderUnusable
from kitsune.names import ENV_STATE_DIR

_LOCK = "lock"


def state_folder(server_id: str, environ: Mapping[str, str]) -> Path:
    """Return where a server keeps its journal, undo records and logs.

    `$KITSUNE_STATE_DIR`, else `/var/lib/kitsune/<server id>` for root, else under `$XDG_STATE_HOME`.
    """
    if given := environ.get(ENV_STATE_DIR):
        return Path(given).expanduser().absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/kitsune") / server_id
    base = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base).absolute() / "kitsune" / server_id


@contextlib.contextmanager
def hold_state_folder(folder: Path) -> Iterator[Path]:
    """Create a state folder (mode 0700) and hold its lock until the block ends.

    The kernel drops the lock when the process dies, however it dies.

    Raises:
        StateFolderTaken: Another process holds it.
        StateFolderUnusable: It cannot be created or written, or holds something else.
    """
    _prepare(folder)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(folder / _LOCK, flags, 0o600)
    except OSError as error:
        raise _unusable(folder, str(error.strerror)) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _unusable(folder, f"its {_LOCK!r} is no file")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            raise StateFolderTaken(
                f"another local worker (process {holder}) uses the state folder {str(folder)!r}: "
                f"stop it, or give this one a folder of its own with {ENV_STATE_DIR}"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield folder
    finally:
        os.close(descriptor)


def _prepare(folder: Path) -> None:
    """Create a folder for us alone; one that is there must be ours already, or empty."""
    try:
        if folder.exists() and any(folder.iterdir()) and not (folder / _LOCK).exists():
            raise _unusable(folder, "it holds something else")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (owner := folder.stat().st_uid) != os.geteuid():
            # Whoever owns it could put links into it, and have us write what they lead to.
            raise _unusable(
                folder, f"it belongs to uid {owner}, this process is uid {os.geteuid()}"
            )
        folder.chmod(0o700)
    except OSError as error:
        raise _unusable(folder, str(error.strerror)) from error


def _unusable(folder: Path, why: str) -> StateFolderUnusable:
    return StateFolderUnusable(
        f"cannot keep state in {str(folder)!r} ({why}): name another folder with {ENV_STATE_DIR}"
    )
