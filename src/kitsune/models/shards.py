"""What a large rollout and its shards say to each other."""

from datetime import datetime
from typing import Any

from pydantic import Field

from kitsune.models.base import WireModel
from kitsune.models.problems import Problem
from kitsune.models.requests import AbortRequest, Decision, HeldServer, PlanReference
from kitsune.models.results import ServerResult


class ShardRequest(WireModel):
    """Input of ShardWorkflow: up to 200 servers of a large rollout.

    Attributes:
        plan: The rollout's plan as JSON, with the shard's servers only; without params where `reference` says
            where they are.
        rollout_id: Workflow id of the rollout.
        run_id: Its first run id.
        number: Which shard this is, from 0.
        fleet: How many servers the whole rollout has.
        quick_types: Step types of the plan that are done in milliseconds.
    """

    rollout_id: str
    run_id: str
    number: int
    plan: dict[str, Any]
    reference: PlanReference | None = None
    fleet: int = 10_000
    quick_types: list[str] = Field(default_factory=list)


class ShardGo(WireModel):
    """Signal to a shard: run the plan on your servers; a later one replaces an earlier one.

    Attributes:
        window: So many servers at once.
        batches: So many of its batches may run, one after the other; None: all of them.
        failures: So many of its servers may fail; with one more it starts nothing until it hears more. None: any.
        unreachable: Likewise for those that do not answer; None: they count as failed.
    """

    window: int
    batches: int | None = None
    failures: int | None = None
    unreachable: int | None = None


class ShardStop(WireModel):
    """Signal to a shard: start nothing more; the rollout has stopped, or was aborted."""

    reason: str
    abort: AbortRequest | None = None


class ShardHold(WireModel):
    """Signal to a shard: so many servers of the rollout are held that nothing new may start, or not any more."""

    hold: bool


class ShardConclude(WireModel):
    """Signal to a shard: undo what has to be undone, and say when that is done; with `close`, then end."""

    close: bool = False


class ShardDecision(WireModel):
    """Signal to a shard: what becomes of one of its servers that is held."""

    server_id: str
    decision: Decision


class ShardAnswer(WireModel):
    """What the servers of a shard answered when they were asked.

    Attributes:
        missing: Servers by step type that they lack.
        found: What servers find wrong with the steps, and who.
    """

    problems: list[Problem] = Field(default_factory=list)
    missing: dict[str, list[str]] = Field(default_factory=dict)
    found: list[tuple[Problem, list[str]]] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)


class ShardSituation(WireModel):
    """How it stands with a shard; each one that is told replaces the one before.

    Attributes:
        absent: Servers that do not answer and are waited for.
        aside: Those of them whose turn has come.
        waiting_for: Servers that another rollout holds, with its id.
        doubt: Why it starts nothing new until it hears from the rollout: it has used up what it was given.
        undone: Nothing is left to undo but servers that are away.
        pending: Servers whose rollback waits for them.
        rollback_until: Until when it does.
    """

    absent: list[str] = Field(default_factory=list)
    aside: list[str] = Field(default_factory=list)
    waiting_for: dict[str, str] = Field(default_factory=dict)
    doubt: str | None = None
    undone: bool = False
    pending: list[str] = Field(default_factory=list)
    rollback_until: datetime | None = None


class ShardReport(WireModel):
    """Signal from a shard to its rollout: what has happened since the last one.

    Attributes:
        started: Servers that have been started.
        held: Servers on which a step failed, and which wait for a decision.
        ended: Servers that have ended, and ended ones whose result has changed; without the outputs of their steps.
        answer: Set once, when every server was asked.
        ran: Nothing of this shard is in flight any more, and nothing more of it will start.
        situation: How it stands; None: as before.
    """

    number: int
    started: dict[str, datetime] = Field(default_factory=dict)
    held: list[HeldServer] = Field(default_factory=list)
    ended: list[ServerResult] = Field(default_factory=list)
    answer: ShardAnswer | None = None
    ran: bool = False
    situation: ShardSituation | None = None


class ShardResult(WireModel):
    """Result of ShardWorkflow: what has become of its servers since the last report."""

    results: list[ServerResult]
