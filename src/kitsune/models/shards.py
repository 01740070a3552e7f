"""What a large rollout and its shards say to each other."""

from datetime import datetime
from typing import Any

from pydantic import Field

from kitsune.models.base import WireModel
from kitsune.models.problems import Problem
from kitsune.models.requests import AbortRequest, Decision, HeldServer, PlanReference
from kitsune.models.results import ServerResult


class ShardRequest(WireModel):
    """Input of ShardWorkflow: up to 200 servers of one batch of a large rollout.

    Attributes:
        plan: The rollout's plan as JSON, with the shard's servers only; without params where `reference` says
            where they are.
        rollout_id: Workflow id of the rollout.
        run_id: Its first run id.
        number: Which shard this is, from 0.
    """

    rollout_id: str
    run_id: str
    number: int
    plan: dict[str, Any]
    reference: PlanReference | None = None


class ShardGo(WireModel):
    """Signal to a shard: run the plan on your servers, so many at once."""

    window: int


class ShardStop(WireModel):
    """Signal to a shard: start nothing more; the rollout has stopped, or was aborted."""

    reason: str
    abort: AbortRequest | None = None


class ShardHold(WireModel):
    """Signal to a shard: so many servers of the rollout are held that nothing new may start, or not any more."""

    hold: bool


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


class ShardReport(WireModel):
    """Signal from a shard to its rollout: what has happened since the last one.

    Attributes:
        started: Servers that have been started.
        held: Servers on which a step failed, and which wait for a decision.
        ended: Servers that have ended, without the outputs of their steps.
        answer: Set once, when every server was asked.
        ran: Nothing of this shard is in flight any more, and nothing more of it will start.
    """

    number: int
    started: dict[str, datetime] = Field(default_factory=dict)
    held: list[HeldServer] = Field(default_factory=list)
    ended: list[ServerResult] = Field(default_factory=list)
    answer: ShardAnswer | None = None
    ran: bool = False


class ShardResult(WireModel):
    """Result of ShardWorkflow: every server that it touched, without outputs of steps that succeeded."""

    results: list[ServerResult]
