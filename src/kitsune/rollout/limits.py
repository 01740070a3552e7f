"""When to stop: one rule for every strategy; and how large a plan may be."""

import json
import math

from kitsune.models.plan import Plan, RolloutStrategy
from kitsune.models.problems import Problem
from kitsune.models.sizes import percent_of
from kitsune.rollout.batches import split_into_batches
from kitsune.rollout.gates import gates_of

#: Servers of one rollout.
MAX_SERVERS = 10_000
#: Servers that a rollout runs itself, and those of one shard of a larger one. Each costs up to 30 history events
#: (one after the other, with a rollback), of 51,200.
MAX_IN_SHARD = 200
#: Gates of one rollout: each is opened by an update, of which Temporal takes 2,000.
MAX_GATES = 1_000
#: Servers in flight at once: Temporal refuses 2,000 pending children and recommends to stay under 500.
MAX_IN_FLIGHT = 500
#: Servers whose start Temporal has not confirmed yet, of one workflow: each start wants the workflow's lock, and those
#: that do not get it are put off for seconds. More at once are slower than these.
MAX_STARTING = 10
#: Steps of one plan: about 6 history events each on the server's workflow, of 51,200.
MAX_STEPS = 1_000
#: Bytes of a plan as JSON: half of what Temporal takes as one payload (2 MB).
MAX_PLAN_BYTES = 1024 * 1024
#: Levels of mappings and lists in a plan.
MAX_DEPTH = 64
#: Bytes of all copies of the steps in the rollout's history beyond which the servers read the plan themselves.
#: Temporal allows 50 MB for everything.
MAX_COPIED_BYTES = 8 * 1024 * 1024
#: How often a server is sent the steps: asked, started, rolled back.
_COPIES = 3
#: Bytes of commands in one workflow task, of the 4 MB at which Temporal terminates the workflow.
MAX_COMMAND_BYTES = 2 * 1024 * 1024


def failures_allowed(fleet: int, strategy: RolloutStrategy) -> int | None:
    """Return how many failed servers a rollout tolerates, or None for any number."""
    limit = strategy.max_failures
    if isinstance(limit, int):
        return None if limit < 0 else limit
    return math.floor(round(fleet * (percent_of(limit) or 0.0) / 100, 9))


def limit_text(fleet: int, strategy: RolloutStrategy) -> str:
    """Return what may fail, in words that stand beside a count of failures: `3 failures allowed (10% of 37 servers)`."""
    allowed = failures_allowed(fleet, strategy)
    if allowed is None:
        return "any number of failures allowed"
    written = strategy.max_failures
    share = f" ({written} of {_servers(fleet)})" if isinstance(written, str) else ""
    return f"{allowed} failure{'' if allowed == 1 else 's'} allowed{share}"


def stop_text(fleet: int, strategy: RolloutStrategy) -> str:
    """Return the stop rule in words, as in `10% of 37 servers: stops at the 4th failure`."""
    allowed = failures_allowed(fleet, strategy)
    if allowed is None:
        return "never stops for failures"
    written = strategy.max_failures
    share = f"{written} of {_servers(fleet)}: " if isinstance(written, str) else ""
    if allowed >= fleet:
        return f"{share}never stops for failures, all {fleet} may fail"
    return f"{share}stops at the {_ordinal(allowed + 1)} failure"


def _servers(fleet: int) -> str:
    return f"{fleet} server{'' if fleet == 1 else 's'}"


def _ordinal(number: int) -> str:
    last = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if 11 <= number % 100 <= 13 else last}"  # noqa: PLR2004 - 11th, 12th, 13th


def json_size(value: object) -> int:
    """Return how many bytes a value has as compact JSON."""
    return len(
        json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
    )


def travels_by_reference(*, servers: int, steps_bytes: int) -> bool:
    """Return whether a plan's steps are too large to be sent to every server: each then reads them once.

    Args:
        servers: How many there are.
        steps_bytes: The size of the steps as JSON.
    """
    return _COPIES * steps_bytes * servers > MAX_COPIED_BYTES


def is_sharded(plan: Plan) -> bool:
    """Return whether a rollout runs its servers through shards."""
    return len(plan.servers) > MAX_IN_SHARD


def size_problems(plan: Plan, *, plan_bytes: int) -> list[Problem]:
    """Return where a plan is larger than one rollout may be; each with the figure and the limit.

    Args:
        plan: The plan.
        plan_bytes: Its size as JSON.
    """
    problems = []
    if len(plan.servers) > MAX_SERVERS:
        problems.append(
            Problem(
                path="servers",
                message=f"{len(plan.servers):,} servers are more than one rollout takes ({MAX_SERVERS:,}): split the plan",
            )
        )
    batches = split_into_batches(plan.servers, plan.rollout_strategy)
    gates = len(gates_of(batches, approval=plan.rollout_strategy.approval))
    if gates > MAX_GATES:
        problems.append(
            Problem(
                path="rolloutStrategy.approval",
                message=f"{gates:,} approvals are more than one rollout takes ({MAX_GATES:,}): use larger batches",
            )
        )
    if len(plan.steps) > MAX_STEPS:
        problems.append(
            Problem(
                path="steps",
                message=f"{len(plan.steps):,} steps are more than one plan takes ({MAX_STEPS:,})",
            )
        )
    if plan_bytes > MAX_PLAN_BYTES:
        problems.append(
            Problem(
                message=f"the plan has {plan_bytes:,} bytes as JSON, the limit is {MAX_PLAN_BYTES:,}: large content belongs where servers can fetch it"
            )
        )
    return problems


def starts_at_once(steps_bytes: int) -> int:
    """Return how many servers may be started in one workflow task: its commands must stay small."""
    return max(1, min(MAX_IN_FLIGHT, MAX_COMMAND_BYTES // max(1, steps_bytes + 1024)))
