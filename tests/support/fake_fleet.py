"""A fleet without Temporal: rollouts that stand as a test says, orders that are kept, an absence at will."""

from datetime import UTC, datetime

from kitsune.errors import Conflict, NotFound, ServerUnavailable
from kitsune.models.logs import LogList, LogPage
from kitsune.models.plan import Plan, plan_to_wire
from kitsune.models.progress import Phase, Progress, ServerProgress
from kitsune.models.results import RolloutResult, RolloutStatus, ServerResult, ServerStatus
from kitsune.service.fleet import Look, Started
from kitsune.service.listing import FleetRows, RolloutRow, WorkerRow
from kitsune.service.ordering import Accepted, Answer
from kitsune.service.outcomes import Finished

BEGAN = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def plan_for(*servers):
    return Plan.model_validate(
        {
            "name": "web",
            "servers": list(servers),
            "steps": [{"name": "greet", "type": "echo", "params": {"message": "hello"}}],
        }
    )


class FakeRollout:
    """One rollout: `states` of its servers while it runs, `outcome` once it has ended."""

    def __init__(self, rollout_id, *servers):
        self.rollout_id, self.plan = rollout_id, plan_for(*servers)
        self.states = dict.fromkeys(servers, "pending")
        self.outcome = None
        self.orders = []

    def row(self):
        counts = {}
        for state in self.states.values():
            counts[state] = counts.get(state, 0) + 1
        return RolloutRow(
            rollout_id=self.rollout_id,
            name=self.plan.name,
            state="running" if self.outcome is None else self.outcome.result.status.value,
            open=self.outcome is None,
            counts=counts,
            rollback_failed=0,
            total=len(self.states),
            started_at=BEGAN,
            ended_at=None if self.outcome is None else BEGAN,
            run_id="run-1",
        )

    def progress(self):
        servers = [
            ServerProgress(server_id=name, state=state) for name, state in self.states.items()
        ]
        return Progress(
            rollout_id=self.rollout_id,
            name=self.plan.name,
            phase=Phase.RUNNING,
            total=len(servers),
            counts=self.row().counts,
            servers=servers,
            started_at=BEGAN,
        )

    def end(self, **failed):
        """End it: every server succeeded, but for those that are named with their error."""
        results = []
        for name in self.states:
            bad = name in failed
            self.states[name] = "failed" if bad else "succeeded"
            status = ServerStatus.FAILED if bad else ServerStatus.SUCCEEDED
            results.append(
                ServerResult(server_id=name, success=not bad, status=status, error=failed.get(name))
            )
        self.outcome = Finished(
            RolloutResult(
                success=not failed,
                servers_patched=len(results) - len(failed),
                servers_failed=len(failed),
                results=results,
                rollout_id=self.rollout_id,
                name=self.plan.name,
                status=RolloutStatus.FAILED if failed else RolloutStatus.SUCCEEDED,
                counts=self.row().counts,
                started_at=BEGAN,
                ended_at=BEGAN,
            )
        )


class FakeFleet:
    """Stands in for `kitsune.service.fleet.Fleet`.

    Attributes:
        away: Temporal does not answer.
        idle: No orchestration worker answers.
        calls: Names of the methods that were called.
        orders: What rollouts were told, as (rollout, verb, order).
        started: Plans by rollout id, with who started them.
    """

    address, namespace = "temporal.test:7233", "default"

    def __init__(self, *rollouts):
        self.known = {rollout.rollout_id: rollout for rollout in rollouts}
        self.away = self.idle = False
        self.calls, self.orders, self.started = [], [], {}

    def _ask(self, name):
        self.calls.append(name)
        if self.away:
            raise ServerUnavailable("Temporal does not answer", silent=True)

    def _get(self, rollout_id):
        if rollout_id not in self.known:
            raise NotFound(f"no rollout {rollout_id!r}", rollout_id=rollout_id)
        return self.known[rollout_id]

    async def rollouts(self, *, limit=50, query=None):
        self._ask("rollouts")
        return [rollout.row() for rollout in self.known.values()][:limit]

    async def find(self, rollout_id):
        self._ask("find")
        return self._get(rollout_id).row()

    async def look(self, rollout_id):
        self._ask("look")
        rollout = self._get(rollout_id)
        if rollout.outcome:
            return Look(open=False, progress=None)
        return Look(open=True, progress=None if self.idle else rollout.progress())

    async def last_progress(self, rollout_id):
        self._ask("last_progress")
        return None if self.idle else self._get(rollout_id).progress()

    async def outcome(self, rollout_id):
        self._ask("outcome")
        return self._get(rollout_id).outcome

    async def plan_of(self, rollout_id):
        self._ask("plan_of")
        return self._get(rollout_id).plan

    async def start(self, plan_wire, *, rollout_id, origin=None, actor=""):
        self._ask("start")
        if rollout_id in self.known:
            if plan_to_wire(self.known[rollout_id].plan) != plan_wire:
                raise Conflict(f"the id {rollout_id!r} belongs to another plan")
            return Started.ALREADY_RUNNING
        self.known[rollout_id] = FakeRollout(rollout_id, *plan_wire["servers"])
        self.known[rollout_id].plan = Plan.model_validate(plan_wire)
        self.started[rollout_id] = origin.actor if origin else actor
        return Started.STARTED

    async def servers(self, *, now):
        self._ask("servers")
        row = WorkerRow("web-1", "kitsune@web-1", "web-1.test", "0.1.0", now, "online")
        return FleetRows(servers=[row], orchestrators=[])

    async def running_steps(self, rollout_id, server_ids):
        self._ask("running_steps")
        return {}

    async def _order(self, rollout_id, verb, order):
        self._ask(verb)
        rollout = self._get(rollout_id)
        if rollout.outcome:
            raise Conflict(f"rollout {rollout_id!r} has already ended")
        self.orders.append((rollout_id, verb, order))
        return Answer(Accepted.ON_RECORD if self.idle else Accepted.DONE, f"{verb} it is")

    async def abort(self, rollout_id, order):
        return (await self._order(rollout_id, "abort", order)).accepted

    async def pause(self, rollout_id, order):
        return await self._order(rollout_id, "pause", order)

    async def resume(self, rollout_id, order):
        return await self._order(rollout_id, "resume", order)

    async def approve(self, rollout_id, order):
        return await self._order(rollout_id, "approve", order)

    async def retry_server(self, rollout_id, order):
        return await self._order(rollout_id, "retry", order)

    async def skip_server(self, rollout_id, order):
        return await self._order(rollout_id, "skip", order)

    async def rollback_server(self, rollout_id, order):
        return await self._order(rollout_id, "rollback", order)

    async def set_limits(self, rollout_id, order):
        return await self._order(rollout_id, "set", order)

    async def server_look(self, rollout_id, server_id):
        self._ask("server_look")

    async def list_logs(self, rollout_id, server_id, **options):
        self._ask("list_logs")
        self._get(rollout_id)
        return LogList(server_id=server_id)

    async def read_log(self, rollout_id, server_id, **options):
        self._ask("read_log")
        self._get(rollout_id)
        return LogPage(server_id=server_id, data="aGVsbG8=", size=5)
