"""What a span says: its name, whom it is about, and how it ended. Nothing that a step printed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio.exceptions import ApplicationError

from kitsune import names
from kitsune.models.requests import PreflightRequest, ServerRequest, StepRequest
from kitsune.models.shards import ShardRequest

ROLLOUT, SERVER, OUTCOME = "kitsune.rollout.id", "kitsune.server.id", "kitsune.outcome"
_LONGEST = 200
_GOOD = frozenset({"succeeded", "rolledBack", "nothingToUndo", "cannotBeUndone", "answered"})


@dataclass(frozen=True)
class Described:
    """A span that begins."""

    name: str
    attributes: Mapping[str, str | int] = field(default_factory=dict)


def describe_workflow(kind: str, arguments: Sequence[Any], *, workflow_id: str) -> Described | None:
    """Return the span of a workflow, or None for one that has none."""
    if kind == names.ORCHESTRATION_WORKFLOW:
        plan = arguments[0] if arguments and isinstance(arguments[0], dict) else {}
        servers = plan.get("servers")
        return Described(
            "rollout",
            {
                ROLLOUT: workflow_id,
                "kitsune.plan.name": str(plan.get("name", "rollout"))[:_LONGEST],
                "kitsune.servers": len(servers) if isinstance(servers, list) else 0,
            },
        )
    request = arguments[0] if arguments else None
    if isinstance(request, ShardRequest):
        return Described(
            "shard", {ROLLOUT: request.rollout_id, "kitsune.shard.number": request.number + 1}
        )
    if isinstance(request, ServerRequest):
        undoes = kind == names.SERVER_ROLLBACK_WORKFLOW
        return Described(
            "undo server" if undoes else "server",
            {ROLLOUT: request.rollout_id, SERVER: request.server_id},
        )
    return None


def describe_activity(kind: str, arguments: Sequence[Any], *, attempt: int) -> Described | None:
    """Return the span of one delivery of an activity, or None for one that has none."""
    request = arguments[0] if arguments else None
    if isinstance(request, StepRequest):
        verb = "undo" if kind == names.ROLLBACK_STEP else "step"
        return Described(
            f"{verb} {request.step.name}"[:_LONGEST],
            {
                ROLLOUT: request.rollout_id,
                SERVER: request.server_id,
                "kitsune.step.name": request.step.name,
                "kitsune.step.type": request.step.type,
                "kitsune.delivery": attempt,
            },
        )
    if isinstance(request, PreflightRequest):
        return Described("preflight", {ROLLOUT: request.rollout_id, SERVER: request.server_id})
    return Described("validate plan") if kind == names.VALIDATE_PLAN else None


def outcome_of_result(result: Any) -> str:
    """Return how something ended that returned: its own word, as in `succeeded` or `rolledBack`."""
    for attribute in ("status", "undone"):
        word = getattr(result, attribute, None)
        if isinstance(word, str):
            return str(word)
    return "answered"


def outcome_of_failure(error: BaseException) -> str:
    """Return how something ended that raised: the word of the outcome in the failure, else the failure's type."""
    if not isinstance(error, ApplicationError):
        return "cancelled" if type(error).__name__ == "CancelledError" else "failed"
    detail = error.details[0] if error.details else None
    status = detail.get("status") if isinstance(detail, dict) else None
    return str(status or error.type or "failed")


def is_good(outcome: str) -> bool:
    """Return whether a span is no error."""
    return outcome in _GOOD
