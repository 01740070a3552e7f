"""Gives the orders of the live view, and says in a few words what became of each."""

from typing import TYPE_CHECKING

from kitsune.cli.controls import Wish
from kitsune.errors import KitsuneError
from kitsune.models.orders import ApproveOrder, PauseOrder, ResumeOrder
from kitsune.models.progress import Progress
from kitsune.models.requests import AbortRequest

if TYPE_CHECKING:
    from kitsune.cli.live import GiveOrder
    from kitsune.service.fleet import Fleet
    from kitsune.service.ordering import Answer

_ON_RECORD = "no orchestration worker answers: it is on record, and the next one obeys it"


def orders_to(fleet: "Fleet", rollout_id: str) -> "GiveOrder":
    """Return what gives orders to a rollout; a refusal is an answer, and never an exception."""

    async def give(wish: Wish, progress: Progress) -> str:
        from kitsune.service.ordering import Accepted

        try:
            answer = await _give(fleet, rollout_id, wish, progress)
        except KitsuneError as error:
            return f"{wish.value}: {error}"
        if answer.accepted is Accepted.ON_RECORD:
            return f"{wish.value}: {_ON_RECORD}"
        return answer.text or f"{wish.value}: done"

    return give


async def _give(fleet: "Fleet", rollout_id: str, wish: Wish, progress: Progress) -> "Answer":
    from kitsune.service.connection import actor
    from kitsune.service.ordering import Answer

    who = actor()
    match wish:
        case Wish.PAUSE:
            return await fleet.pause(rollout_id, PauseOrder(actor=who))
        case Wish.RESUME:
            return await fleet.resume(rollout_id, ResumeOrder(actor=who))
        case Wish.APPROVE:
            gate = progress.gate.id if progress.gate else None
            return await fleet.approve(rollout_id, ApproveOrder(actor=who, gate=gate))
        case Wish.ABORT | Wish.ABORT_AND_UNDO:
            undo = wish is Wish.ABORT_AND_UNDO
            request = AbortRequest(actor=who, rollback=undo)
            return Answer(await fleet.abort(rollout_id, request))
        case Wish.DETACH:
            raise ValueError("to detach is no order")
