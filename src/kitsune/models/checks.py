"""What a server says when it is asked what a step would change, without touching anything."""

from enum import StrEnum

from pydantic import Field

from kitsune.models.base import WireModel
from kitsune.models.requests import ResolvedStep


class CheckStatus(StrEnum):
    """How a server stands to a step."""

    IDENTICAL = "identical"
    """It is as the step would leave it."""
    DIFFERS = "differs"
    """The step would change something."""
    FAILS = "fails"
    """The step would fail as things are."""
    UNKNOWN = "unknown"
    """Nobody can say."""


class CheckResult(WireModel):
    """What a handler's check has found; make one with `identical`, `differs` or `unknown`.

    Attributes:
        changes: What the step would change, one short line each, as in "mode 0644 → 0600".
        diff: The change of a text, as a unified diff.
        note: Anything else worth knowing, in one sentence; for `fails` and `unknown` the reason.
    """

    status: CheckStatus = CheckStatus.UNKNOWN
    changes: list[str] = Field(default_factory=list)
    diff: str = ""
    note: str = ""

    @classmethod
    def identical(cls, note: str = "") -> "CheckResult":
        """Return that the step would change nothing."""
        return cls(status=CheckStatus.IDENTICAL, note=note)

    @classmethod
    def differs(cls, *changes: str, diff: str = "", note: str = "") -> "CheckResult":
        """Return what the step would change."""
        return cls(status=CheckStatus.DIFFERS, changes=list(changes), diff=diff, note=note)

    @classmethod
    def unknown(cls, why: str) -> "CheckResult":
        """Return that it cannot be said."""
        return cls(status=CheckStatus.UNKNOWN, note=why)


class CheckRequest(WireModel):
    """Input of CheckStep: which step, and whether private content may be shown."""

    server_id: str
    step: ResolvedStep
    reveal: bool = False


class CheckedStep(WireModel):
    """Result of CheckStep."""

    server_id: str
    index: int
    result: CheckResult
