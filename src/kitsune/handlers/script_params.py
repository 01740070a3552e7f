"""What the params of a `script` step must look like."""

import shlex
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    WithJsonSchema,
    model_validator,
)

from kitsune.handlers.base import StepParams, sensitive
from kitsune.models.bytes import parse_bytes
from kitsune.models.durations import Duration
from kitsune.names import (
    ENV_ATTEMPT,
    ENV_OPERATION,
    ENV_REBOOTS,
    ENV_ROLLOUT_ID,
    ENV_SCRIPT_SERVER_ID,
    ENV_STEP,
)

_OURS = frozenset(
    {
        ENV_ROLLOUT_ID,
        ENV_SCRIPT_SERVER_ID,
        ENV_STEP,
        ENV_ATTEMPT,
        ENV_OPERATION,
        ENV_REBOOTS,
    }
)
_OLD_NAMES = {"script": "command", "rollback_script": "rollbackCommand"}


def _check_text(text: str) -> str:
    if not _is_tellable(text):
        raise ValueError(
            "must not hold a NUL character or half of a character: no program can be told it"
        )
    return text


def _is_tellable(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _check_whole(text: str) -> str:
    text.encode()  # half of a character raises a ValueError
    return text


def _check_given(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _check_interpreter(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"not a command line: {text!r} ({error})") from error
    if not words:
        raise ValueError("must not be empty (leave it out for /bin/sh -eu)")
    return text


def _env_problems(env: Mapping[str, str]) -> list[str]:
    """Return what is wrong with `env`, without any value: those are secret."""
    problems = []
    for name, value in env.items():
        if not name or "=" in name or not _is_tellable(name):
            problems.append(f"env: not the name of a variable: {name!r}")
        elif name in _OURS:
            problems.append(f"env: {name} is set by Kitsune itself, choose another name")
        elif not _is_tellable(value):
            problems.append(
                f"env: the value of {name} holds a NUL character or half of a character"
            )
    return problems


def _check_user(user: Any) -> Any:
    return str(user) if isinstance(user, int) and not isinstance(user, bool) else user


Text = Annotated[str, AfterValidator(_check_text)]
Given = Annotated[Text, AfterValidator(_check_given)]
User = Annotated[
    Given,
    BeforeValidator(_check_user),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0}]}),
]


def _check_size(size: Any) -> Any:
    return parse_bytes(size) if isinstance(size, str) else size


Size = Annotated[
    int,
    Field(ge=1 << 20),
    BeforeValidator(_check_size),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1 << 20}, {"type": "string"}]}),
]


class Limits(StepParams):
    """What a script may use together with all that it starts."""

    memory: Size | None = Field(default=None, description="Bytes, or such as `256MiB`.")
    processes: int | None = Field(default=None, ge=1, description="Processes at once.")

    @property
    def given(self) -> dict[str, int]:
        """The limits that were written, by name."""
        limits = {"memory": self.memory, "processes": self.processes}
        return {name: limit for name, limit in limits.items() if limit is not None}


class ScriptParams(StepParams):
    """Runs a program (`command`) or a text (`inline`) and takes its exit code as the outcome.

    A script starts in a session of its own with a clean environment: PATH, HOME, LANG, LC_*, TZ, USER, LOGNAME,
    SHELL and TMPDIR of the local worker, then `env`, then KITSUNE_ROLLOUT_ID, KITSUNE_SERVER_ID, KITSUNE_STEP,
    KITSUNE_ATTEMPT, KITSUNE_OPERATION and KITSUNE_REBOOTS.
    When it takes too long or the rollout is aborted, the script and all that it has started get TERM, and KILL
    after `killGrace`.
    It goes on when the local worker dies or restarts, and the next one takes over.
    A daemon that it leaves behind when it ends by itself lives on; redirect the daemon's output, for nobody reads
    it any more.
    """

    command: Given | None = Field(
        default=None,
        validation_alias=AliasChoices("command", "script"),
        description="A program: a name that is looked up in PATH, or with a slash a file, relative to cwd. No shell.",
    )
    args: list[Text] = Field(
        default_factory=list, description="Arguments of command, passed on as they are."
    )
    inline: Given | None = Field(
        default=None, description="A text that interpreter runs, instead of command."
    )
    interpreter: Annotated[Text, AfterValidator(_check_interpreter)] = Field(
        default="/bin/sh -eu",
        description="What runs inline and rollbackInline; gets the text as a file.",
    )
    env: dict[str, str] = sensitive(
        default_factory=dict, description="Variables beside the inherited ones. Never logged."
    )
    cwd: Given | None = Field(
        default=None, description="Where it starts. Default: where the local worker was started."
    )
    stdin: Annotated[str, AfterValidator(_check_whole)] | None = sensitive(
        default=None,
        description="What it reads from its standard input; nothing by default. Never logged.",
    )
    user: User | None = Field(
        default=None,
        description="Runs as this user, a name or a number, with all its groups; the local worker must be root.",
    )
    success_exit_codes: Annotated[
        list[Annotated[int, Field(ge=0, le=255)]], Field(min_length=1)
    ] = Field(default=[0], description="Exit codes that mean success.")
    kill_grace: Duration = Field(
        default=timedelta(seconds=10), description="Time between TERM and KILL when it must end."
    )
    limits: Limits | None = Field(
        default=None,
        description="What it may use with all that it starts: `memory` and `processes`. More ends it. No limit by default.",
    )
    rollback_command: Given | None = Field(
        default=None,
        validation_alias=AliasChoices("rollbackCommand", "rollback_script"),
        description="A program that undoes what the script did. Same rules, without stdin; must exit with 0.",
    )
    rollback_args: list[Text] = Field(
        default_factory=list, description="Arguments of rollbackCommand."
    )
    rollback_inline: Given | None = Field(
        default=None, description="A text that interpreter runs, instead of rollbackCommand."
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_both_names(cls, written: Any) -> Any:
        if isinstance(written, Mapping):
            for old, new in _OLD_NAMES.items():
                if old in written and new in written:
                    raise ValueError(f"{old!r} is the old name of {new!r}: write only one of them")
        return written

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        inline = self.inline is not None or self.rollback_inline is not None
        wrong = {
            "write either command or inline, not both": self.command and self.inline,
            "needs command (a program) or inline (a text)": not self.command and not self.inline,
            "args are for command: an inline text gets none": self.args and not self.command,
            "write either rollbackCommand or rollbackInline, not both": self.rollback_command
            and self.rollback_inline,
            "rollbackArgs are for rollbackCommand": self.rollback_args
            and not self.rollback_command,
            "interpreter is for inline and rollbackInline: command starts without one": "interpreter"
            in self.model_fields_set
            and not inline,
        }
        found = [message for message, is_so in wrong.items() if is_so] + _env_problems(self.env)
        if found:
            raise ValueError("; ".join(found))
        return self
