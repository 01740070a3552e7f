"""What the params of a `file_write` step must look like."""

import base64
import binascii
import re
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    WithJsonSchema,
    model_validator,
)

from kitsune.handlers.base import StepParams, sensitive

#: The largest user or group id; the one above it means "none" to the kernel.
_LARGEST_ID = 2**32 - 2
_MODE = re.compile(r"(0o)?0*([0-7]{3,4})")
_MODE_ADVICE = 'write an octal text such as "0644"'


def _check_path(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"must be an absolute path, not {path!r}")
    if "\0" in path:
        raise ValueError("must not hold a NUL character: no file can be called so")
    if path.endswith("/"):
        raise ValueError(f"must name a file, not a folder: {path!r} (leave out the last slash)")
    parts = path.split("/")
    if ".." in parts or parts[-1] == ".":
        raise ValueError(f"must be written without '.' and '..': {path!r}")
    return path


def _check_mode(mode: Any) -> Any:
    if isinstance(mode, int) and not isinstance(mode, bool):
        raise ValueError(  # noqa: TRY004 - pydantic reports ValueError
            f"not a mode: the number {mode!r} ({_MODE_ADVICE}, in quotes: YAML reads 0644 as 644)"
        )
    if isinstance(mode, str) and not _MODE.fullmatch(mode):
        raise ValueError(f"not a mode: {mode!r} ({_MODE_ADVICE})")
    return mode


def _check_account(account: Any) -> Any:
    if isinstance(account, int) and not isinstance(account, bool):
        account = str(account)
    if not isinstance(account, str) or not account or "\0" in account:
        raise ValueError(f"must be a name or a number, not {account!r}")
    if re.fullmatch(r"-?[0-9]+", account) and not 0 <= int(account) <= _LARGEST_ID:
        raise ValueError(f"not a user or group id: {account} (from 0 to {_LARGEST_ID:,})")
    return account


def _check_base64(text: str) -> str:
    decode_base64(text)
    return text


def decode_base64(text: str) -> bytes:
    """Return what base64 text means; line breaks and blanks in it do not count.

    Raises:
        ValueError: It is no base64; the text, which may be secret, is not repeated.
    """
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {str(error).lower()}") from error


Account = Annotated[
    str,
    BeforeValidator(_check_account),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}]}),
]  # fmt: skip


class FileWriteParams(StepParams):
    """Puts a file with this content in its place, whole: a reader sees the old file or the new one, never a part.

    What was there before (bytes, mode, owner, group, time and extended attributes, or that nothing was there) is
    kept on the server first; a rollback brings exactly that back.
    A file that is already as it should be is not touched, and the output `changed` is false.
    Other hard links of the file keep the old content, which the output `warnings` says.
    """

    path: Annotated[str, AfterValidator(_check_path)] = Field(
        description="Where, absolute.", json_schema_extra={"pattern": "^/.*[^/]$"}
    )
    content: str | None = sensitive(
        default=None, description="The content, as text; written as UTF-8. Never logged."
    )
    content_base64: Annotated[str, AfterValidator(_check_base64)] | None = sensitive(
        default=None,
        description="The content as base64, instead of content: for bytes that are no text. Never logged.",
    )
    mode: Annotated[str, BeforeValidator(_check_mode)] | None = Field(
        default=None,
        description='Permissions, as an octal text such as "0644". Default: what the file has; 0644 for a new one.',
        json_schema_extra={"pattern": f"^{_MODE.pattern}$"},
    )
    owner: Account | None = Field(
        default=None,
        description="User name or id. Default: what the file has; the local worker's for a new one.",
    )
    group: Account | None = Field(default=None, description="Group name or id. Default: likewise.")
    create_parents: bool = Field(
        default=False,
        description="Create missing folders (mode 0755); a rollback removes those that are empty then.",
    )
    follow_symlinks: bool = Field(
        default=False,
        description="Where path is a symbolic link, write the file that it leads to; without this it is refused.",
    )

    @model_validator(mode="after")
    def _check_content(self) -> Self:
        if self.content is None and self.content_base64 is None:
            raise ValueError('needs content or contentBase64 (content: "" for an empty file)')
        if self.content is not None and self.content_base64 is not None:
            raise ValueError("write either content or contentBase64, not both")
        if self.content is not None:
            self.content.encode()  # half of a character raises a ValueError
        self.path.encode()  # likewise
        return self

    @property
    def new_content(self) -> bytes:
        """The bytes that the file shall have."""
        if self.content_base64 is not None:
            return decode_base64(self.content_base64)
        return (self.content or "").encode()

    @property
    def mode_bits(self) -> int | None:
        """The mode as a number, or None where it stays as it is."""
        return None if self.mode is None else int(self.mode.removeprefix("0o"), 8)
