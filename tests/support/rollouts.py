"""Rollouts as the dashboard's board knows them, made by hand."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from kitsune.dashboard.snapshots import RolloutList, Snapshot
from kitsune.errors import NotFound
from kitsune.models.plan import Plan
from kitsune.models.progress import BatchProgress, Progress, ServerProgress
from kitsune.models.results import RolloutResult, ServerResult
from kitsune.rollout.batches import split_into_batches
from kitsune.service.listing import FleetRows, RolloutRow
from kitsune.service.outcomes import Finished

NOW = datetime(2026, 11, 25, 12, 10, tzinfo=UTC)
START = NOW - timedelta(minutes=10)
ENDS = ("succeeded", "failed", "unreachable", "unknown", "cancelled", "skipped", "notStarted")


def make_plan(count=6, *, steps=None, name="web", servers=None, **strategy):
    return Plan.model_validate(
        {
            "name": name,
            "servers": servers or [f"web-{number}" for number in range(1, count + 1)],
            "steps": steps or [{"name": "work", "type": "script", "params": {"command": "true"}}],
            "rolloutStrategy": strategy,
        }
    )


def make_row(rollout_id="web-1a", **changes):
    row = RolloutRow(
        rollout_id=rollout_id,
        name="web",
        state="running",
        open=True,
        counts={},
        rollback_failed=0,
        total=6,
        started_at=START,
        ended_at=None,
        run_id="run",
    )
    return replace(row, **changes)


def make_servers(plan, states, **details):
    """Return servers in the given states, in the plan's order; what is not given is pending."""
    batches = split_into_batches(plan.servers, plan.rollout_strategy)
    where = {server: batch.index for batch in batches for server in batch.servers}
    found = []
    for at, server in enumerate(plan.servers):
        state = states[at] if at < len(states) else "pending"
        begun = state not in ("pending", "notStarted", "unreachable")
        found.append(
            ServerProgress(
                server_id=server,
                state=state,
                batch=where[server],
                started_at=START + timedelta(seconds=10 * where[server]) if begun else None,
                ended_at=START + timedelta(seconds=30 + at) if state in ENDS else None,
                **details.get(server.replace("-", "_"), {}),
            )
        )
    return found


def make_progress(plan, states, *, phase="running", details=None, **changes):
    servers = make_servers(plan, states, **(details or {}))
    batches = split_into_batches(plan.servers, plan.rollout_strategy)
    current = next((server.batch for server in servers if server.state not in ENDS), None)
    return Progress(
        rollout_id="web-1a",
        name=plan.name,
        phase=phase,
        total=len(servers),
        counts=Counter(server.state for server in servers),
        batch=current,
        batch_count=len(batches),
        batches=[
            BatchProgress(
                index=b.index, canary=b.canary, servers=len(b.servers), state=_word(b, servers)
            )
            for b in batches[:50]
        ],
        limit_text="0 failures allowed",
        started_at=START,
        servers=servers,
    ).model_copy(update=changes)


def _word(batch, servers):
    states = {server.state for server in servers if server.batch == batch.index}
    if states <= set(ENDS):
        return "done"
    return "pending" if states == {"pending"} else "running"


def make_result(plan, states, **changes):
    results = [
        ServerResult(
            server_id=server.server_id,
            success=server.state == "succeeded",
            status=server.state,
            error=server.error,
            batch=server.batch,
            started_at=server.started_at,
            ended_at=server.ended_at,
        )
        for server in make_servers(plan, states)
    ]
    return RolloutResult(
        success=False,
        servers_patched=states.count("succeeded"),
        servers_failed=states.count("failed"),
        results=results,
        rollout_id="web-1a",
        name=plan.name,
        status="failed",
        counts=Counter(states),
        started_at=START,
        ended_at=NOW,
    ).model_copy(update=changes)


def running(plan, states, *, rollout_id="web-1a", row=None, **changes):
    """Return the snapshot of a rollout that runs."""
    progress = make_progress(plan, states, **changes)
    facts = {"total": progress.total, "counts": dict(progress.counts), **(row or {})}
    return Snapshot(make_row(rollout_id, **facts), NOW, progress=progress, plan=plan)


def ended(plan, states, *, rollout_id="web-1a", row=None, **changes):
    """Return the snapshot of a rollout that has ended."""
    result = make_result(plan, states, **changes)
    facts = {"state": result.status.value, "open": False, "ended_at": NOW, **(row or {})}
    return Snapshot(make_row(rollout_id, **facts), NOW, outcome=Finished(result), plan=plan)


class StandInBoard:
    """Knows the snapshots that it is given, and asks nobody."""

    def __init__(self, *snapshots, rows=(), trouble=None):
        self.snapshots = {snapshot.row.rollout_id: snapshot for snapshot in snapshots}
        self.rows, self.trouble, self.expired = tuple(rows), trouble, []

    def rollouts(self):
        rows = self.rows or tuple(snapshot.row for snapshot in self.snapshots.values())
        return RolloutList(rows, NOW, self.trouble)

    async def rollout(self, rollout_id):
        if rollout_id not in self.snapshots:
            raise NotFound(f"no rollout {rollout_id!r}")
        return self.snapshots[rollout_id]

    def expire(self, rollout_id):
        self.expired.append(rollout_id)


class StandInFleet:
    """A fleet that answers what it is given, and keeps what it is told."""

    address, namespace = "127.0.0.1:7233", "default"

    def __init__(self, *, workers=None, looks=None, log=None):
        self.workers, self.looks, self.log = workers or FleetRows(), looks or {}, log
        self.started, self.orders = [], []

    async def servers(self, *, now):
        return self.workers

    async def server_look(self, rollout_id, server_id):
        return self.looks.get(server_id)

    async def read_log(self, rollout_id, server_id, **asked):
        return self.log(**asked)

    async def find(self, rollout_id):
        return make_row(rollout_id)

    async def start(self, plan_wire, *, rollout_id, origin=None, actor=""):
        from kitsune.service.fleet import Started

        self.started.append((rollout_id, plan_wire, actor))
        return Started.STARTED

    def __getattr__(self, name):
        if name not in ("pause", "resume", "approve", "skip_server", "retry_server"):
            raise AttributeError(name)

        async def order(rollout_id, order):
            from kitsune.service.ordering import Accepted, Answer

            self.orders.append((name, rollout_id, order))
            return Answer(Accepted.DONE, f"{name}: done")

        return order
