"""The `symlink` step: points a symbolic link at a release, and back."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from kitsune.agent.undo import UndoRecord
from kitsune.errors import StepFailed
from kitsune.handlers.base import (
    Checkable,
    CheckContext,
    Reversible,
    StepContext,
    StepHandler,
    StepParams,
)
from kitsune.models.checks import CheckResult


def _check_path(path: str) -> str:
    if not path.startswith("/") or path.endswith("/") or "\0" in path:
        raise ValueError(f"must be the absolute path of a link, not {path!r}")
    return path


def _check_target(target: str) -> str:
    if not target or "\0" in target:
        raise ValueError(f"must be a path, not {target!r}")
    return target


class SymlinkParams(StepParams):
    """Points a symbolic link at something, in one move: whoever looks sees the old target or the new one."""

    path: Annotated[str, AfterValidator(_check_path)] = Field(
        description="The link, absolute. Its folder must be there."
    )
    target: Annotated[str, AfterValidator(_check_target)] = Field(
        description="What it leads to, absolute or relative to the link's folder."
    )


class SymlinkHandler(StepHandler[SymlinkParams]):
    """Points symbolic links; a few system calls, so it needs no thread."""

    type: ClassVar[str] = "symlink"
    params_model = SymlinkParams
    idempotent: ClassVar[bool] = True
    quick: ClassVar[bool] = True
    reversible: ClassVar[Reversible] = "full"
    checkable: ClassVar[Checkable] = "full"

    async def check(self, params: SymlinkParams, ctx: CheckContext) -> CheckResult:
        """Say where the link would lead; `kitsune diff` asks this.

        Raises:
            StepFailed: Something else than a link is there.
        """
        del ctx
        now = _target_of(Path(params.path))
        if now == params.target:
            return CheckResult.identical()
        return CheckResult.differs(f"{params.path} leads to {now or 'nothing'} → {params.target}")

    async def execute(self, params: SymlinkParams, ctx: StepContext) -> Mapping[str, Any]:
        """Point the link; the outputs say where it led before.

        Raises:
            StepFailed: Something else than a link is there, or the link cannot be written.
        """
        link = Path(params.path)
        now = _target_of(link)
        if now == params.target and ctx.undo.record is None:
            return {"changed": False, "previous": now}
        # First what a rollback needs, then the change. A step that runs again, because its agent died,
        # gets back what its first run found.
        kept = await ctx.undo.keep({"target": now})
        _point(link, params.target)
        ctx.log.info("%s leads to %s now", params.path, params.target)
        return {"changed": True, "previous": kept.facts["target"]}

    async def rollback(
        self, params: SymlinkParams, undo: UndoRecord | None, ctx: StepContext
    ) -> None:
        """Point the link where it led before, or remove it where there was none.

        Raises:
            StepFailed: As in `execute`.
        """
        if undo is None:
            return  # it led there already: nothing was changed
        link, before = Path(params.path), undo.facts["target"]
        if _target_of(link) == before:
            return
        _point(link, before)
        ctx.log.info("%s leads to %s again", params.path, before or "nothing")


def _target_of(link: Path) -> str | None:
    """Return where a link leads, or None where nothing is."""
    try:
        return os.readlink(link)  # noqa: PTH115 - to the letter: a Path would tidy it
    except FileNotFoundError:
        return None
    except OSError as error:
        if link.exists():
            message = f"{str(link)!r} is not a symbolic link: move it away first"
            raise StepFailed(message, permanent=True) from error
        raise StepFailed(f"cannot read {str(link)!r}: {error.strerror}") from error


def _point(link: Path, target: str | None) -> None:
    """Let a link lead to a target, or remove it where there is none."""
    draft = link.with_name(f".{link.name}.new")
    try:
        draft.unlink(missing_ok=True)
        if target is None:
            link.unlink()
        else:
            draft.symlink_to(target)
            draft.replace(link)
    except OSError as error:
        goal = "nothing" if target is None else repr(target)
        raise StepFailed(f"cannot point {str(link)!r} at {goal}: {error.strerror}") from error
