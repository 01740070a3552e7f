"""What an operator tells a rollout while it runs, and what the rollout keeps of it."""

from datetime import datetime

from kitsune.models.base import WireModel
from kitsune.models.sizes import Size


class Order(WireModel):
    """What every order says: who gives it, and why."""

    actor: str = "unknown"
    reason: str = ""


class PauseOrder(Order):
    """Start nothing more until somebody says `resume`."""

    drain: bool = False
    """Servers in flight finish their plan; otherwise they hold before their next step."""


class ResumeOrder(Order):
    """Go on after a pause."""


class ApproveOrder(Order):
    """Open one gate."""

    gate: str | None = None
    """Its id, such as `canary` or `batch-2`; without it nothing is opened."""


class ServerOrder(Order):
    """Argument of `retry`, `skip` and `rollback`: what becomes of a held server."""

    server_id: str = ""


class SetOrder(Order):
    """New limits; what is left out stays as it is."""

    max_failures: Size | None = None
    max_concurrency: int | None = None


class OrderRecord(WireModel):
    """An order that a rollout has obeyed."""

    verb: str
    actor: str = "unknown"
    reason: str = ""
    at: datetime
    detail: str = ""
    """What it applied to or did, as in `batch-2`, `web-3`, `maxFailures 0 -> 2`."""


class Gate(WireModel):
    """A wait for a person."""

    id: str
    """`canary`, or `batch-2` for the gate after the second batch."""
    opened_at: datetime
    """Since when it waits."""
    until: datetime | None = None
    """When the rollout gives up waiting, unless it is paused meanwhile; None: never."""
