"""The file of users: a name, a role and an argon2id hash each; read again when it changes."""

import hashlib
import json
import os
import stat
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, field_validator

from kitsune.dashboard.roles import Role, role_from
from kitsune.errors import DashboardRefused

_MAX_FILE = 1024 * 1024
#: Longer ones would only keep the processor busy.
MAX_PASSWORD = 1024
_HASHER = PasswordHasher()


class LocalUser(BaseModel):
    """One entry of the file.

    Attributes:
        password: Its argon2id hash, as `kitsune dashboard user` prints it.
        role: `viewer`, `operator` or `approver`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    password: str
    role: Role = Role.VIEWER

    @field_validator("role", mode="before")
    @classmethod
    def _role(cls, value: Any) -> Role:
        return role_from(value if isinstance(value, str) else repr(value))

    @field_validator("password")
    @classmethod
    def _is_hash(cls, value: str) -> str:
        if not value.startswith("$argon2id$"):
            raise ValueError("not an argon2id hash: make one with `kitsune dashboard user`")
        return value

    @property
    def mark(self) -> str:
        """What changes when the password does."""
        return hashlib.sha256(self.password.encode()).hexdigest()


_FILE = TypeAdapter(dict[str, LocalUser])


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password."""
    return _HASHER.hash(password)


@cache
def _nobody() -> str:
    """Return the hash that a password is held against where there is no such user: that takes as long."""
    return hash_password("nobody")


def entry_text(name: str, *, role: str, password_hash: str) -> str:
    """Return the lines that make somebody a user."""
    key = json.dumps(name, ensure_ascii=True)  # JSON's texts are TOML's
    return f'[{key}]\nrole = "{role}"\npassword = "{password_hash}"\n'


class Users:
    """Users of the file.

    Args:
        path: The file, TOML.

    Raises:
        DashboardRefused: The file cannot be read, is open to others, or is wrong.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._users: Mapping[str, LocalUser] = {}
        self._load()

    def find(self, name: str) -> LocalUser | None:
        """Return a user as the file has it now; a file that has become unreadable has none."""
        try:
            if self._state() != self._seen:
                self._load()
        except (OSError, DashboardRefused):
            return None
        return self._users.get(name)

    def verify(self, name: str, password: str) -> LocalUser | None:
        """Return the user whose password this is; takes a tenth of a second of one processor."""
        user = self.find(name) if len(password) <= MAX_PASSWORD else None
        try:
            _HASHER.verify(user.password if user else _nobody(), password[:MAX_PASSWORD])
        except (VerificationError, InvalidHashError):
            return None
        return user

    def _state(self) -> tuple[int, int, int]:
        found = self._path.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _load(self) -> None:
        self._users, self._seen = read_users(self._path), self._state()


def read_users(path: Path) -> dict[str, LocalUser]:
    """Return the users of a file.

    Raises:
        DashboardRefused: It cannot be read, is open to others, or is wrong.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_MAX_FILE + 1)
    except OSError as error:
        raise DashboardRefused(
            f"cannot read the users file {str(path)!r}: {error.strerror}"
        ) from error
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise DashboardRefused(f"others can read or change {str(path)!r}: chmod 600 {path}")
    if len(content) > _MAX_FILE:
        raise DashboardRefused(f"{str(path)!r} is larger than {_MAX_FILE:,} bytes")
    try:
        users = _FILE.validate_python(tomllib.loads(content.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DashboardRefused(f"{str(path)!r} is no TOML: {error}") from error
    except ValidationError as error:
        raise DashboardRefused(f"{str(path)!r}: {_first(error)}") from error
    if not users:
        raise DashboardRefused(f"{str(path)!r} has no users: add one with `kitsune dashboard user`")
    return users


def _first(error: ValidationError) -> str:
    """Return what is wrong, without the value: it may be a password."""
    first = error.errors(include_input=False, include_url=False)[0]
    text = first["msg"].removeprefix("Value error, ")
    return f"{'.'.join(map(str, first['loc']))}: {text}"
