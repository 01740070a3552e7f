"""Results that stay small: Temporal refuses payloads over 2 MB, and a history over 50 MB."""

from collections.abc import Callable, Sequence
from typing import Any

from kitsune.models.requests import OUTPUT_LIMIT
from kitsune.models.results import (
    OutputTail,
    RolloutResult,
    ServerResult,
    ServerStatus,
    StepOutcome,
    json_of,
)
from kitsune.rollout.limits import json_size

#: Bytes that the result of a whole rollout may have: under Temporal's 2 MB per payload.
ROLLOUT_RESULT_LIMIT = 1_500_000
#: Bytes of all servers' results in the rollout's history.
_ALL_RESULTS = 8 * 1024 * 1024
#: Bytes of all steps' outputs in a server's history; JSON makes up to six of one.
_ALL_OUTPUTS = 6 * 1024 * 1024
_LARGEST_SERVER_RESULT = 64 * 1024
_LONGEST_ERROR = 2048


def server_result_limit(servers: int) -> int:
    """Return how many bytes each of so many servers may report."""
    return min(_LARGEST_SERVER_RESULT, max(4096, _ALL_RESULTS // max(1, servers)))


def step_output_limit(steps: int) -> int:
    """Return how many bytes of each of its two output streams each of so many steps may report."""
    return min(OUTPUT_LIMIT, max(1024, _ALL_OUTPUTS // max(1, 2 * steps)))


def shorten(text: str | None, limit: int = _LONGEST_ERROR) -> str | None:
    """Return a text of at most `limit` bytes of UTF-8; the middle is what goes."""
    if text is None:
        return None
    raw = text.encode(errors="replace")
    if len(raw) <= limit:
        return text
    half = max(1, (limit - 5) // 2)
    return f"{raw[:half].decode(errors='ignore')} … {raw[-half:].decode(errors='ignore')}"


def fit_server_result(result: ServerResult, limit: int) -> ServerResult:
    """Return a server's result in at most about `limit` bytes, with less and less of its outputs."""
    if json_size(json_of(result)) <= limit:
        return result
    for cut in _cuts_of_outputs(len(result.steps_executed), limit):
        smaller = result.model_copy(
            update={
                "steps_executed": [cut(step) for step in result.steps_executed],
                "outputs_truncated": True,
                "error": shorten(result.error),
            }
        )
        if json_size(json_of(smaller)) <= limit:
            return smaller
    failed = [step for step in smaller.steps_executed if not step.success][-1:]
    return smaller.model_copy(update={"steps_executed": failed})


def fit_outcomes(outcomes: Sequence[StepOutcome], limit: int) -> list[dict[str, Any]]:
    """Return steps' outcomes as JSON without what is default, in at most about `limit` bytes of it."""
    for cut in (lambda step: step, *_cuts_of_outputs(len(outcomes), limit)):
        fitted = [
            cut(step).model_dump(mode="json", by_alias=True, exclude_defaults=True)
            for step in outcomes
        ]
        if json_size(fitted) <= limit:
            break
    return fitted


def fit_rollout_result(result: RolloutResult, limit: int = ROLLOUT_RESULT_LIMIT) -> RolloutResult:
    """Return a rollout's result in at most about `limit` bytes; every listed server stays."""
    if json_size(json_of(result)) <= limit:
        return result
    per_server = max(600, (limit - 20_000) // max(1, len(result.results)))
    fitted = [fit_server_result(server, per_server) for server in result.results]
    smaller = result.model_copy(update={"results": fitted})
    if json_size(json_of(smaller)) <= limit:
        return smaller
    bare = [
        server.model_copy(
            update={
                "steps_executed": [],
                "outputs_truncated": True,
                "error": shorten(server.error, 200),
            }
        )
        for server in fitted
    ]
    return _with_room(smaller.model_copy(update={"results": bare}), limit)


def _with_room(result: RolloutResult, limit: int) -> RolloutResult:
    """Return a result in at most `limit` bytes: servers that never began are left out first, and only counted."""
    begun = [found for found in result.results if found.status is not ServerStatus.NOT_STARTED]
    kept = result.results
    if json_size(json_of(result)) > limit:
        kept = begun
    result = result.model_copy(update={"warnings": result.warnings[:50]})
    while True:
        omitted = result.results_omitted + len(result.results) - len(kept)
        smaller = result.model_copy(update={"results": kept, "results_omitted": omitted})
        if not kept or json_size(json_of(smaller)) <= limit:
            return smaller
        kept = kept[: len(kept) * 3 // 4]


def _cuts_of_outputs(steps: int, limit: int) -> Sequence[Callable[[StepOutcome], StepOutcome]]:
    share = max(64, limit // (4 * max(1, steps)))
    return (
        lambda step: _cut(step, keep=share if step.success else 4 * share),
        lambda step: _cut(step, keep=64 if step.success else 1024),
        lambda step: step.model_copy(update={"outputs": {}, "error": shorten(step.error, 512)}),
    )


def _cut(step: StepOutcome, *, keep: int) -> StepOutcome:
    outputs: dict[str, Any] = {}
    for key, value in step.outputs.items():
        if isinstance(value, dict) and "text" in value and "truncated" in value:
            tail = OutputTail.model_validate(value)
            text = shorten(tail.text, keep) or ""
            cut = tail.truncated or text != tail.text
            outputs[key] = json_of(tail.model_copy(update={"text": text, "truncated": cut}))
        elif json_size(value) <= keep:
            outputs[key] = value
    return step.model_copy(update={"outputs": outputs, "error": shorten(step.error)})
