"""What other systems are told about a rollout; the fields of `Notice` are the generic webhook's body."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from kitsune.models.base import WireModel


class NoticeEvent(StrEnum):
    """What happened."""

    STARTED = "rolloutStarted"
    SUCCEEDED = "rolloutSucceeded"
    FAILED = "rolloutFailed"
    INCOMPLETE = "rolloutIncomplete"
    STOPPED = "rolloutStopped"
    ABORTED = "rolloutAborted"
    REFUSED = "rolloutRefused"
    APPROVAL_NEEDED = "approvalNeeded"
    PAUSED = "rolloutPaused"
    RESUMED = "rolloutResumed"
    SERVER_HELD = "serverHeld"


class NoticeRollout(WireModel):
    """The rollout at that moment.

    Attributes:
        counts: Servers that have ended, by status.
        reason: Why it stopped, in one sentence.
        rolled_back: Servers on which everything was undone; known at the end, like the next two.
        rollback_failed: Servers that need a person.
        rollback_pending: Servers that were away, and need a person as well.
    """

    id: str
    name: str
    total: int
    counts: dict[str, int] = Field(default_factory=dict)
    reason: str | None = None
    started_at: datetime
    ended_at: datetime | None = None
    rolled_back: int = 0
    rollback_failed: int = 0
    rollback_pending: int = 0


class NoticeServer(WireModel):
    """The server on which a step failed and a person decides; what the step printed is not told."""

    id: str
    step: str


class Notice(WireModel):
    """One thing that happened.

    Attributes:
        id: Stays the same however often it is sent.
        gate: What waits for an approval.
        actor: Who ordered it, where somebody did.
        comment: What that person said why.
    """

    id: str
    event: NoticeEvent
    at: datetime
    rollout: NoticeRollout
    gate: str | None = None
    server: NoticeServer | None = None
    actor: str | None = None
    comment: str | None = None


class WebhookInterest(WireModel):
    """A webhook as a rollout knows it: not where it leads, only what it wants to hear."""

    name: str
    events: list[str]


class SendRequest(WireModel):
    """Input of WebhookWorkflow and SendWebhook: tell one receiver one thing."""

    webhook: str
    notice: Notice
