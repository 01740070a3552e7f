"""What a later rollback has mended is wanted from nobody any more."""

import pytest

from kitsune.dashboard.mending import Mending
from kitsune.dashboard.views.lists import rollouts_page, wants_of
from kitsune.errors import NotFound
from kitsune.models.plan import RollbackOf
from kitsune.models.results import ServerResult
from kitsune.service.outcomes import Finished
from support.rollouts import NOW, make_plan, make_result, make_row

PLAN = make_plan(3)


class Rollouts:
    """Ended rollouts by id, as (row, plan, result); counts what it is asked."""

    def __init__(self):
        self.known, self.asked = {}, []

    def add(self, rollout_id, results, *, plan=PLAN, **row):
        states = [found.status.value for found in results]
        result = make_result(plan, states).model_copy(update={"results": results})
        stuck = sum(found.rollback_failed for found in results)
        pending = sum(found.rollback_pending for found in results)
        facts = {"state": "failed", "open": False, "rollback_failed": stuck, **row}
        made = make_row(rollout_id, rollback_pending=pending, run_id=f"run-{rollout_id}", **facts)
        self.known[rollout_id] = (made, plan, result)

    def undo(self, number, *servers, success=True, **row):
        of = RollbackOf(rollout_id="web-1", run_id="run-web-1")
        plan = PLAN.model_copy(update={"servers": list(servers), "rollback_of": of})
        results = [
            ServerResult(
                server_id=server,
                success=success,
                status="succeeded" if success else "failed",
                rollback_failed=not success,
            )
            for server in servers
        ]
        self.add(f"web-1-rollback-{number}", results, plan=plan, origin="rollback of web-1", **row)

    @property
    def rows(self):
        return [row for row, _, _ in self.known.values()]

    async def find(self, rollout_id):
        self.asked.append(rollout_id)
        if rollout_id not in self.known:
            raise NotFound(f"no rollout {rollout_id!r}")
        return self.known[rollout_id][0]

    async def outcome(self, rollout_id):
        return Finished(self.known[rollout_id][2])

    async def plan_of(self, rollout_id):
        return self.known[rollout_id][1]


def result_of(server_id, **fields):
    return ServerResult(server_id=server_id, success=False, status="failed", **fields)


@pytest.fixture
def fleet():
    """Return a rollout whose rollback has failed on web-1; web-2 and web-3 are as they were made."""
    found = Rollouts()
    ends = [result_of("web-1", rollback_failed=True), result_of("web-2"), result_of("web-3")]
    found.add("web-1", ends)
    return found


async def wanted(mending, fleet):
    return {row.rollout_id: wants_of(row) for row in await mending.mended(fleet.rows)}


async def test_nobody_is_asked_about_what_nobody_has_undone_since(fleet):
    assert await wanted(Mending(fleet), fleet) == {"web-1": "rollback failed on 1"}
    assert fleet.asked == []


async def test_a_retry_that_succeeds_ends_it_and_is_looked_at_once(fleet):
    mending = Mending(fleet)
    fleet.undo(1, "web-1", success=False)
    assert set((await wanted(mending, fleet)).values()) == {"rollback failed on 1"}
    fleet.undo(2, "web-1")
    assert set((await wanted(mending, fleet)).values()) == {""}
    asked = len(fleet.asked)
    mended = await mending.mended(fleet.rows)
    assert len(fleet.asked) == asked
    chips = {chip.label: chip.count for chip in rollouts_page(mended, {}, now=NOW).chips}
    assert chips["Needs a person"] == 0


async def test_a_rollback_of_the_other_servers_does_not_end_it(fleet):
    fleet.undo(1, "web-2", "web-3")
    assert (await wanted(Mending(fleet), fleet))["web-1"] == "rollback failed on 1"


async def test_while_the_retry_runs_it_is_still_wanted(fleet):
    fleet.undo(1, "web-1", open=True, state="running")
    assert (await wanted(Mending(fleet), fleet))["web-1"] == "rollback failed on 1"


async def test_a_rollout_that_temporal_has_forgotten_is_told_as_it_told_itself(fleet):
    fleet.undo(1, "web-1", success=False)
    rows = [row for row in fleet.rows if row.rollout_id != "web-1"]
    del fleet.known["web-1"]
    (row,) = await Mending(fleet).mended(rows)
    assert row.rollback_failed == 1
