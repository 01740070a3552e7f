"""Ids of rollouts, and whether two of them mean the same plan."""

import contextlib
import json
import re
import secrets
import unicodedata
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from kitsune.models.plan import Plan
from kitsune.models.problems import Problem
from kitsune.names import MEMO_ORIGIN, MEMO_ROLLOUT, MEMO_STARTED_BY, server_execution_id
from kitsune.rollout.limits import MAX_PLAN_BYTES, json_size

_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_SLUG_LENGTH = 60
_SUMMARY_LENGTH = 200
_LONGEST_ACTOR = 100


@dataclass(frozen=True)
class Origin:
    """The rollout that another one follows.

    Attributes:
        verb: `retry` or `rollback`.
        run_id: Its run: a rollout of the same id may have run before.
        actor: Who asked for it.
        reason: Why.
    """

    verb: str
    rollout_id: str
    run_id: str = ""
    actor: str = ""
    reason: str = ""


def check_rollout_id(rollout_id: str) -> str:
    """Return an id that a rollout may have.

    Raises:
        ValueError: Other characters, empty, too long, or of the form that guards a server.
    """
    if not _ID.fullmatch(rollout_id):
        raise ValueError(
            f"not a rollout id: {rollout_id[:220]!r} (write 1 to 200 letters, digits, '.', '_' or '-')"
        )
    guard = server_execution_id("")
    if rollout_id.startswith(guard):
        raise ValueError(f"a rollout id cannot begin with {guard!r}: such ids guard servers")
    return rollout_id


def new_rollout_id(name: str) -> str:
    """Return a fresh id that tells the plan's name: `web-2-14-0-k3v7qa`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_SLUG_LENGTH].strip("-") or "rollout"
    if slug.startswith(server_execution_id("")):
        slug = f"rollout-{slug}"
    return f"{slug}-{''.join(secrets.choice(_BASE32) for _ in range(6))}"


def summary_of(plan_wire: dict[str, Any]) -> str:
    """Return what Temporal's own pages show for a rollout."""
    steps, servers = len(plan_wire.get("steps", [])), len(plan_wire.get("servers", []))
    counted = (
        f"{steps} step{'' if steps == 1 else 's'} on {servers} server{'' if servers == 1 else 's'}"
    )
    return f"{plan_wire.get('name', 'rollout')}: {counted}"[:_SUMMARY_LENGTH]


def first_memo(
    plan_wire: dict[str, Any], *, origin: Origin | None = None, actor: str = ""
) -> dict[str, Any]:
    """Return the memo by which a rollout can be listed before it has said anything itself."""
    actor = actor or (origin.actor if origin else "")
    follows = (
        {
            MEMO_ORIGIN: {
                "verb": origin.verb,
                "rolloutId": origin.rollout_id,
                "runId": origin.run_id,
                "actor": origin.actor,
                "reason": origin.reason,
            }
        }
        if origin
        else {}
    )
    started_by = {MEMO_STARTED_BY: actor[:_LONGEST_ACTOR]} if actor else {}
    return (
        follows
        | started_by
        | {
            MEMO_ROLLOUT: {
                "name": plan_wire.get("name", "rollout"),
                "state": "starting",
                "total": len(plan_wire.get("servers", [])),
                "counts": {},
            }
        }
    )


def size_problem(plan_wire: dict[str, Any]) -> Problem | None:
    """Return the refusal of a plan that Temporal would not take in one piece."""
    size = json_size(plan_wire)
    if size <= MAX_PLAN_BYTES:
        return None
    return Problem(
        message=f"the plan has {size:,} bytes as JSON, the limit is {MAX_PLAN_BYTES:,}: "
        "large content belongs where servers can fetch it"
    )


def same_plan(one: Any, other: Any) -> bool:
    """Return whether two requests ask for the same, however they are written (`30s` or `30`, defaults or none)."""
    return _canonical(one) == _canonical(other)


def _canonical(request: Any) -> str:
    with contextlib.suppress(
        ValidationError
    ):  # a foreign request: only the very same JSON is the same
        request = Plan.model_validate(request).model_dump(mode="json", by_alias=True)
    return json.dumps(request, sort_keys=True)
