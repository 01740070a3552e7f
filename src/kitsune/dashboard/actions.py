"""What a person can have done to a rollout: the one way for pages and for the API."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from kitsune import names
from kitsune.dashboard.roles import User, role_for_verb
from kitsune.errors import BadRequest, Conflict, KitsuneError, NotAllowed
from kitsune.models.orders import (
    ApproveOrder,
    Order,
    PauseOrder,
    ResumeOrder,
    ServerOrder,
    SetOrder,
)
from kitsune.models.requests import AbortRequest
from kitsune.models.sizes import Size
from kitsune.rollout.orders import VERBS, read_order
from kitsune.service.again import RETRIED
from kitsune.service.fleet import Fleet
from kitsune.service.following import prepare_retry, prepare_rollback
from kitsune.service.ordering import Accepted, Answer

_LOG = logging.getLogger(__name__)
_ON_RECORD = "no orchestration worker answers: the {verb} is on record, and the next one obeys it"


@dataclass(frozen=True)
class Done:
    """What became of an order.

    Attributes:
        text: In one sentence.
        rollout_id: The rollout to look at now: a retry or rollback of an ended one is another.
        accepted: `accepted`, `onRecord`, or `started` for a new rollout.
    """

    text: str
    rollout_id: str
    accepted: str


async def act(
    fleet: Fleet, verb: str, rollout_id: str, form: Mapping[str, Any], *, actor: User
) -> Done:
    """Give a rollout an order in a person's name.

    Args:
        fleet: The way to Temporal.
        verb: `pause`, `resume`, `approve`, `abort`, `retry`, `skip`, `rollback` or `set`.
        rollout_id: The rollout.
        form: What the order says, with the keys of the API (`reason`, `drain`, `gate`, `serverId`, `servers`, `rollback`,
            `maxFailures`, `maxConcurrency`, `only`, `fromFailed`, `retry`, `force`); texts, as a form sends them, will do.
        actor: Who gives it.

    Raises:
        NotAllowed: Their role does not reach that far.
        BadRequest: The form makes no sense for this order.
        Conflict: The rollout refuses, has ended, or runs and no server is named.
        NotFound: There is no such rollout.
        ServerUnavailable: Temporal is away.
    """
    if verb not in VERBS:
        raise BadRequest(f"not an order: {verb!r} (write {', '.join(VERBS)})")
    if not actor.may(role_for_verb(verb)):
        raise NotAllowed(
            f"{verb} needs the role {role_for_verb(verb).word}; "
            f"{actor.display_name} has the role {actor.role.word}"
        )
    given = {key: value for key, value in form.items() if value not in ("", None)}
    try:
        done = await _obey(fleet, verb, rollout_id, given, actor=actor)
    except KitsuneError as error:
        _LOG.warning("%s: %s %s: %s", actor.display_name, verb, rollout_id, error)
        raise
    _LOG.info("%s: %s %s: %s", actor.display_name, verb, rollout_id, done.text)
    return done


async def _obey(
    fleet: Fleet, verb: str, rollout_id: str, given: Mapping[str, Any], *, actor: User
) -> Done:
    if verb in (names.RETRY, names.ROLLBACK) and not (await fleet.find(rollout_id)).open:
        return await _follow(fleet, verb, rollout_id, given, actor=actor)
    found = [
        await _give(fleet, rollout_id, verb, order) for order in _orders(verb, given, actor=actor)
    ]
    text = "; ".join(answer.text for answer in found if answer.text) or f"{verb}: done"
    if found[-1].accepted is Accepted.ON_RECORD:
        text = _ON_RECORD.format(verb=verb)
    return Done(text, rollout_id, found[-1].accepted.value)


def _orders(verb: str, given: Mapping[str, Any], *, actor: User) -> list[Order]:
    """Return the order, or one for each server that it is about."""
    order = _order(verb, given, actor=actor)
    if not isinstance(order, ServerOrder):
        return [order]
    servers = _words(given.get("servers")) or _words(given.get("serverId"))
    if not servers:
        raise Conflict(f"{verb} is about held servers while a rollout runs: name them")
    return [order.model_copy(update={"server_id": server}) for server in servers]


def _order(verb: str, given: Mapping[str, Any], *, actor: User) -> Order:
    said = {**given, "actor": actor.display_name}
    for key in ("drain", "rollback"):
        if key in said:
            said[key] = _flag(said[key], key)
    if "maxFailures" in said:
        said["maxFailures"] = _size(said["maxFailures"])
    try:
        return read_order(verb, said)
    except ValueError as error:
        raise BadRequest(str(error)) from error


async def _give(fleet: Fleet, rollout_id: str, verb: str, order: Order) -> Answer:
    match order:
        case AbortRequest():
            accepted = await fleet.abort(rollout_id, order)
            return Answer(accepted, "aborting")
        case PauseOrder():
            return await fleet.pause(rollout_id, order)
        case ResumeOrder():
            return await fleet.resume(rollout_id, order)
        case ApproveOrder():
            return await fleet.approve(rollout_id, order)
        case SetOrder():
            return await fleet.set_limits(rollout_id, order)
        case ServerOrder():
            give = {
                names.RETRY: fleet.retry_server,
                names.SKIP: fleet.skip_server,
                names.ROLLBACK: fleet.rollback_server,
            }[verb]
            return await give(rollout_id, order)
        case _:
            raise AssertionError(verb)


async def _follow(
    fleet: Fleet, verb: str, rollout_id: str, given: Mapping[str, Any], *, actor: User
) -> Done:
    """Start the rollout that retries or undoes one that has ended."""
    servers = _words(given.get("servers")) or _words(given.get("serverId"))
    reason = str(given.get("reason", ""))
    if verb == names.RETRY:
        next_one = await prepare_retry(
            fleet,
            rollout_id,
            servers=servers,
            only=_words(given.get("only")) or RETRIED,
            from_failed=_flag(given.get("fromFailed", False), "fromFailed"),
        )
    else:
        next_one = await prepare_rollback(
            fleet,
            rollout_id,
            servers=servers,
            retry=_flag(given.get("retry", False), "retry"),
            force=_flag(given.get("force", False), "force"),
        )
    if not next_one.again.servers:
        raise Conflict(f"nothing to {verb} of {rollout_id!r}")
    origin = next_one.origin(actor=actor.display_name, reason=reason)
    await fleet.start(next_one.again.plan, rollout_id=next_one.rollout_id, origin=origin)
    count = len(next_one.again.servers)
    servers_text = f"{count} server{'' if count == 1 else 's'}"
    return Done(f"started {next_one.rollout_id} on {servers_text}", next_one.rollout_id, "started")


def _flag(value: Any, key: str) -> bool:
    if isinstance(value, bool):
        return value
    words = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
    if str(value).lower() not in words:
        raise BadRequest(f"{key}: not true or false: {str(value)[:80]!r}")
    return words[str(value).lower()]


def _size(value: Any) -> Size:
    text = str(value).strip()
    return int(text) if text.lstrip("-").isdecimal() else text


def _words(value: Any) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value or ()
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise BadRequest(f"not a list of names: {str(value)[:80]!r}")
    return tuple(word.strip() for word in words if word.strip())


async def order(request: Request, verb: str, rollout_id: str, form: Mapping[str, Any]) -> Done:
    """Give an order in the name of whoever sends a request, and have the board look again; see `act`."""
    state = request.app.state
    done = await act(state.fleet, verb, rollout_id, form, actor=request.user)
    for changed in {rollout_id, done.rollout_id}:
        state.board.expire(changed)
    return done
