"""What the end of a rollout means for a command: its exit code and its JSON."""

from typing import TYPE_CHECKING, Any

from kitsune.cli.exits import Exit
from kitsune.models.results import json_of
from kitsune.rollout.verdict import exit_code_of

if TYPE_CHECKING:
    from kitsune.service.outcomes import Outcome


def exit_of(outcome: "Outcome") -> Exit:
    """Return the exit code; a rollout that was cut short from outside needs a person to look at its servers."""
    from kitsune.service.outcomes import Finished, Refused

    if isinstance(outcome, Finished):
        return Exit(exit_code_of(outcome.result))
    return Exit.REFUSED if isinstance(outcome, Refused) else Exit.NEEDS_PERSON


def outcome_json(outcome: "Outcome", *, rollout_id: str) -> dict[str, Any]:
    """Return an end as JSON: the rollout's own result, or as much of its keys as there is."""
    from kitsune.service.outcomes import Finished, Refused

    if isinstance(outcome, Finished):
        return json_of(outcome.result)
    if isinstance(outcome, Refused):
        return {
            "success": False,
            "rolloutId": rollout_id,
            "status": "refused",
            "error": outcome.message,
            "problems": [json_of(problem) for problem in outcome.problems],
        }
    return {
        "success": False,
        "rolloutId": rollout_id,
        "status": outcome.state,
        "error": outcome.message,
    }
