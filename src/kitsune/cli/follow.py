"""Following a rollout to its end, through lost connections and orchestrators that are away."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from kitsune.cli.events import progress_at_end, stamp
from kitsune.cli.views import View
from kitsune.errors import ServerUnavailable
from kitsune.models.progress import Progress

if TYPE_CHECKING:
    from kitsune.service.fleet import Fleet
    from kitsune.service.outcomes import Outcome

_PAUSE = 0.5
_LONGEST_PAUSE = 5.0
#: Servers for each second between two looks: large fleets are looked at less often.
_SERVERS_PER_SECOND = 400
_STEPS_EVERY = timedelta(seconds=1)


class Contact:
    """Says once that somebody is not answering, and once that all is well again."""

    def __init__(self, view: View, *, address: str) -> None:
        self._view = view
        self._address = address
        self._said: str | None = None
        self._last_answer = datetime.now(UTC)

    def fine(self) -> None:
        """Note an answer."""
        self._last_answer = datetime.now(UTC)
        if self._said is not None:
            self._said = None
            self._view.note("contact restored", passing=True)

    def lost(self) -> None:
        """Note that Temporal does not answer."""
        self._say("temporal", f"lost contact with Temporal at {self._address}, retrying")

    def silent(self) -> None:
        """Note that Temporal answers, but no orchestration worker does."""
        self._say(
            "orchestrator",
            f"no orchestration worker answers since {stamp(self._last_answer)}, retrying "
            "(start one with `kitsune orchestration-worker`)",
        )

    def _say(self, what: str, text: str) -> None:
        if self._said != what:
            self._said = what
            self._view.note(text, passing=False)


async def follow(fleet: "Fleet", rollout_id: str, *, view: View) -> "Outcome":
    """Show a rollout until it has ended, and return how it ended.

    Nothing but its end, a cancellation or an unknown id ends this: when Temporal is away, it waits.

    Raises:
        NotFound: There is no such rollout.
    """
    contact = Contact(view, address=fleet.address)
    steps = _Steps(fleet, rollout_id, view)
    last: Progress | None = None
    pause = _PAUSE
    while True:
        try:
            look = await fleet.look(rollout_id)
            outcome = None if look.open else await fleet.outcome(rollout_id)
        except ServerUnavailable:
            contact.lost()
            pause = min(_LONGEST_PAUSE, pause * 2)
        else:
            if outcome is not None:
                contact.fine()
                _show_end(view, last, outcome)
                return outcome
            if look.progress is None:
                contact.silent()
                pause = min(_LONGEST_PAUSE, pause * 2)
            else:
                contact.fine()
                last = look.progress
                await steps.refresh(last)
                view.show(last)
                pause = max(_PAUSE, min(_LONGEST_PAUSE, last.total / _SERVERS_PER_SECOND))
        await asyncio.sleep(pause)


class _Steps:
    """Asks for the current steps of the few servers that a view shows, at most once a second."""

    def __init__(self, fleet: "Fleet", rollout_id: str, view: View) -> None:
        self._fleet, self._rollout_id, self._view = fleet, rollout_id, view
        self._next = datetime.now(UTC)

    async def refresh(self, progress: Progress) -> None:
        wanted = self._view.wanted(progress)
        now = datetime.now(UTC)
        if wanted and now >= self._next:
            self._next = now + _STEPS_EVERY
            self._view.show_steps(await self._fleet.running_steps(self._rollout_id, wanted))


def _show_end(view: View, last: Progress | None, outcome: "Outcome") -> None:
    """Show the last changes to somebody who has seen those before; the recap tells the rest."""
    from kitsune.service.outcomes import Finished

    if isinstance(outcome, Finished) and last is not None:
        view.show(progress_at_end(last, outcome.result))
