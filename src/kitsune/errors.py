"""Every exception that Kitsune raises on purpose.

```
KitsuneError
├── PlanRefused            a plan is wrong; carries every problem at once
├── PlanUnreadable         a plan file cannot be read at all
├── HandlerUnusable        a step handler is installed, but cannot be used
├── StepFailed             a step handler says: this failed
├── NothingLeft           of an interrupted execution nothing is left to resume
├── NotWanted              a step was handed out late: its rollout does not wait for it any more
│   └── CancelledBefore    its rollout has cancelled it
├── ProcessRemains         what an earlier step started was killed, and is still there
├── JournalUnavailable     the agent cannot record what it does, so it does nothing
├── StateFolderTaken       another local worker holds this state folder
├── ServerIdTaken          another local worker of this host serves this server id
├── StateFolderUnusable    the folder cannot hold a local worker's state
├── BadSetting             an option, a variable or a file of settings says what cannot be
├── BadRequest             an order, a form or a request of the API makes no sense
├── BadQuery               Temporal does not understand a list filter
├── ServerUnavailable      Temporal cannot be reached
├── ServerAway             the local worker of a server does not answer
├── TooOld                 the other side does not know what is asked of it
├── Conflict               an id is taken by something else
├── NotFound               no such rollout
├── DashboardRefused       the dashboard cannot start safely with its settings
├── NotAllowed             a user's role does not reach that far
└── EmbeddedServerError    the embedded Temporal server cannot start
```
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kitsune.models.problems import Problem


class KitsuneError(Exception):
    """Base of all; its text is one clear sentence for an operator."""


class PlanRefused(KitsuneError):
    """A plan is wrong; `problems` holds all of them, in the plan's order.

    Args:
        problems: What is wrong.
        text: The same for people, where more is known than the problems say (file, line, column).
    """

    def __init__(self, problems: Sequence[Problem], *, text: str | None = None) -> None:
        self.problems = tuple(problems)
        super().__init__(text or "\n".join(problem.text for problem in self.problems))


class PlanUnreadable(KitsuneError):
    """A plan file is missing, too large, or neither YAML nor JSON."""


class HandlerUnusable(KitsuneError):
    """A step handler is installed, but cannot be imported or keeps no contract."""


class StepFailed(KitsuneError):
    """A step failed, for a reason that the handler knows.

    Args:
        message: What, where and why, under 2 KiB (longer text is cut).
        permanent: True when another execution could not help (a missing command, a bad owner).
        outputs: What the step produced before it failed; kept in the result.
    """

    def __init__(
        self, message: str, *, permanent: bool = False, outputs: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.outputs = dict(outputs or {})


class NothingLeft(KitsuneError):
    """Of an interrupted execution nothing is left to resume: how far it came is not known."""


class NotWanted(KitsuneError):
    """A step was handed out late, or Temporal does not say whether it is still wanted: it is not begun."""


class CancelledBefore(NotWanted):
    """A step is not begun, because its rollout has cancelled it before."""


class ProcessRemains(KitsuneError):
    """What an earlier step started was killed and is still there: nothing new may begin beside it."""


class JournalUnavailable(KitsuneError):
    """The journal cannot be written (full or read-only disk): nothing may be done unrecorded."""


class StateFolderTaken(KitsuneError):
    """Another local worker of this host uses the state folder."""


class ServerIdTaken(KitsuneError):
    """Another local worker of this host serves the same server id."""


class StateFolderUnusable(KitsuneError):
    """A folder cannot hold the state of a local worker: not writable, or somebody else's."""


class BadSetting(KitsuneError):
    """An option, a variable or a file of settings says what cannot be; nothing was started."""


class BadRequest(KitsuneError):
    """An order, a form or a request of the API makes no sense; the text says what would."""


class BadQuery(KitsuneError):
    """Temporal does not understand a list filter."""


class ServerUnavailable(KitsuneError):
    """Temporal cannot be used.

    Args:
        message: What is wrong, and what would work.
        silent: True when it does not answer, so that waiting may help.
    """

    def __init__(self, message: str, *, silent: bool = False) -> None:
        super().__init__(message)
        self.silent = silent


class ServerAway(KitsuneError):
    """The local worker of a server does not answer.

    Args:
        server_id: Which one.
        last_seen: When Temporal last heard of it, by its own clock; None where it does not remember.
        why: What it says instead of an answer, where it says anything.
    """

    def __init__(self, server_id: str, *, last_seen: datetime | None = None, why: str = "") -> None:
        self.server_id, self.last_seen, self.why = server_id, last_seen, why
        seen = (
            f"last heard of at {last_seen.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
            if last_seen
            else "not heard of in the last minutes"
        )
        super().__init__(
            f"the local worker of {server_id!r} cannot answer: {why}"
            if why
            else f"the local worker of {server_id!r} does not answer ({seen}): `kitsune servers` shows who is there"
        )


class TooOld(KitsuneError):
    """A local worker or a Temporal server is older than what is asked of it."""


class Conflict(KitsuneError):
    """An id is in use for something else."""


class NotFound(KitsuneError):
    """No rollout of that id, or nothing of that name in it.

    Args:
        message: What there is not.
        rollout_id: The id, where it is the rollout that there is not.
    """

    def __init__(self, message: str, *, rollout_id: str | None = None) -> None:
        super().__init__(message)
        self.rollout_id = rollout_id


class DashboardRefused(KitsuneError):
    """The dashboard cannot start safely with its settings; the text names all that is wrong with them."""


class NotAllowed(KitsuneError):
    """A user's role does not reach that far."""


class EmbeddedServerError(KitsuneError):
    """The embedded Temporal server cannot be started here."""
