"""Finds what a program needs to start, or says plainly why it cannot be started."""

import errno
import os
import pwd
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kitsune.errors import StepFailed

#: Failures to start that another execution may not meet again: out of processes, memory or files, or a
#: program that is being replaced at this moment.
_PASSING = {
    errno.EAGAIN,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
    errno.ETXTBSY,
    errno.EIO,
}
_SHEBANG_BYTES = 256
#: Characters of PATH that an error shows.
_SHOWN_PATH = 800


@dataclass(frozen=True)
class Account:
    """A user of this host, as a program needs it."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str

    @property
    def is_own(self) -> bool:
        """Whether the agent itself runs as this user."""
        return self.uid == os.geteuid()


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to start.

    Attributes:
        argv: The command and its arguments; the command is looked up, see `find_program`.
        environment: All of it; nothing is inherited.
        cwd: Where it starts; None for the agent's own working folder.
        account: As whom; None for the agent's own user.
        stdin: A file descriptor to read from; None for nothing to read.
        inherited: More file descriptors that it gets, under the same numbers.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    cwd: str | None = None
    account: Account | None = None
    stdin: int | None = None
    inherited: tuple[int, ...] = ()


def find_account(user: str) -> Account:
    """Return the account that a program shall run as.

    Args:
        user: A name or a numeric user id.

    Raises:
        StepFailed: No such user, or the agent may not become that user.
    """
    entry = _password_entry(user)
    if entry is None:
        raise StepFailed(f"no such user: {user!r}", permanent=True)
    own = os.geteuid()
    if own not in (0, entry.pw_uid):
        raise StepFailed(
            f"user {user!r} needs a local worker that runs as root; this one runs as {_own_name(own)!r}",
            permanent=True,
        )
    return Account(
        name=entry.pw_name,
        uid=entry.pw_uid,
        gid=entry.pw_gid,
        groups=tuple(os.getgrouplist(entry.pw_name, entry.pw_gid)),
        home=entry.pw_dir,
    )


def find_program(name: str, *, path: str, cwd: str | None, kind: str = "command") -> str:
    """Return the file that a command means, as a shell would find it.

    Args:
        name: With a slash, a file, relative to `cwd`; else a name that is looked up in `path`.
        path: Folders, parted by colons; an empty entry is no folder.
        cwd: Where relative names start; None for the agent's working folder.
        kind: What to call it in errors: `command` or `interpreter`.

    Raises:
        StepFailed: Not found, a folder, or not executable.
    """
    if "/" in name:
        return _checked_file(name, Path(cwd or "") / name, cwd=cwd, kind=kind)
    refused = None
    for folder in filter(None, path.split(":")):
        file = f"{folder}/{name}" if folder.startswith("/") else f"{cwd or '.'}/{folder}/{name}"
        if _is_file(file):
            if os.access(file, os.X_OK):
                return file if file.startswith("/") else str(Path(file).absolute())
            refused = refused or file
    if refused:
        raise _not_executable(kind, refused)
    shown = path if len(path) <= _SHOWN_PATH else f"{path[:_SHOWN_PATH]}…"
    raise StepFailed(f"{kind} not found: {name!r} (looked in PATH={shown})", permanent=True)


def check_program(program: Program) -> tuple[str, str | None]:
    """Return the file to execute and the folder to start in.

    Raises:
        StepFailed: It cannot be started; permanent where another try would not help.
    """
    cwd = _checked_cwd(program.cwd)
    path = program.environment.get("PATH", "")
    return find_program(program.argv[0], path=path, cwd=cwd), cwd


def _password_entry(user: str) -> pwd.struct_passwd | None:
    for find in (pwd.getpwnam, lambda text: pwd.getpwuid(int(text))):
        try:
            return find(user)
        except (KeyError, ValueError, OverflowError):
            continue
    return None


def _own_name(uid: int) -> str:
    entry = _password_entry(str(uid))
    return entry.pw_name if entry else str(uid)


def _checked_cwd(cwd: str | None) -> str | None:
    if cwd is None:
        return None
    folder = Path(cwd)
    try:
        mode = folder.stat().st_mode
    except OSError as error:
        raise StepFailed(f"no such cwd: {cwd!r} ({error.strerror})", permanent=True) from error
    if not stat.S_ISDIR(mode):
        raise StepFailed(f"cwd is not a folder: {cwd!r}", permanent=True)
    return str(folder.absolute())


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - a dozen folders are looked at for each start
    except OSError:
        return False


def _checked_file(name: str, file: Path, *, cwd: str | None, kind: str) -> str:
    try:
        mode = file.stat().st_mode
    except OSError as error:
        start = cwd or "the local worker's own folder"
        where = "" if Path(name).is_absolute() else f", looked at from {start}"
        raise StepFailed(
            f"{kind} not found: {name!r} ({error.strerror}{where})", permanent=True
        ) from error
    if stat.S_ISDIR(mode):
        raise StepFailed(f"{kind} is a folder: {name!r}", permanent=True)
    if not os.access(file, os.X_OK):
        raise _not_executable(kind, name)
    return str(file.absolute())


def _not_executable(kind: str, name: str) -> StepFailed:
    return StepFailed(
        f"{kind} is not executable: {name!r} (chmod +x, or start it through an interpreter)",
        permanent=True,
    )


def start_failure(
    error: OSError, executable: str, program: Program, *, cwd: str | None
) -> StepFailed:
    """Say plainly why a program that was found did not start."""
    permanent = error.errno not in _PASSING
    switching = program.account is not None and error.errno == errno.EPERM
    if cwd is not None and error.filename == cwd and not switching:
        return StepFailed(f"cannot enter cwd {cwd!r}: {error.strerror}", permanent=permanent)
    if error.errno == errno.ENOENT:
        return StepFailed(_bad_interpreter(executable), permanent=True)
    if error.errno == errno.ENOEXEC:
        return StepFailed(
            f"not a program: {executable!r} (a script's first line must name its interpreter, such as #!/bin/sh)",
            permanent=True,
        )
    who = f" as user {program.account.name!r}" if program.account else ""
    return StepFailed(f"cannot start {executable!r}{who}: {error.strerror}", permanent=permanent)


def _bad_interpreter(executable: str) -> str:
    try:
        with Path(executable).open("rb") as file:
            line = file.read(_SHEBANG_BYTES).split(b"\n")[0].decode(errors="replace")
    except OSError:
        line = ""
    if line.startswith("#!"):
        windows = " (the file has Windows line ends)" if line.endswith("\r") else ""
        return f"bad interpreter: {executable!r} starts with {line!r}, and there is no such file{windows}"
    return f"cannot start {executable!r}: the loader that it asks for is missing, or it is for another system"
