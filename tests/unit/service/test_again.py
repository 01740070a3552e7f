"""Which servers a retry and a rollback take, and where they begin."""

import pytest

from kitsune.errors import Conflict
from kitsune.models.plan import Plan
from kitsune.models.progress import Progress, ServerProgress
from kitsune.models.results import RolloutResult, ServerResult, StepOutcome
from kitsune.service.again import (
    after_rollback,
    ends_of,
    ends_of_progress,
    retry_of,
    rollback_of,
)

STEPS = [{"name": name, "type": "echo", "params": {"message": name}} for name in ("one", "two")]


def plan_of(*servers, **keys):
    return Plan.model_validate({"servers": list(servers), "steps": STEPS, **keys})


def steps(*good, generation=0):
    return [
        StepOutcome(name=f"step {index}", success=fine, index=index, generation=generation)
        for index, fine in enumerate(good)
    ]


def end(server, status="succeeded", **fields):
    return ServerResult(server_id=server, success=status == "succeeded", status=status, **fields)


def ends(*found):
    return {server.server_id: server for server in found}


@pytest.fixture
def mixed():
    """A rollout with one server of each end, and its plan."""
    found = ends(
        end("a"),
        end("b", "failed", steps_executed=steps(True, False)),
        end("c", "failed", steps_executed=steps(True, False), rolled_back=True),
        end("d", "unreachable"),
        end("e", "notStarted"),
    )
    return plan_of(*found), found


def test_a_retry_takes_all_that_did_not_end_well(mixed):
    plan, found = mixed
    again = retry_of(plan, found)
    assert again.servers == ("b", "c", "d", "e")
    assert again.plan["servers"] == ["b", "c", "d", "e"]
    assert "startAt" not in again.plan
    assert again.plan["steps"] == STEPS
    assert Plan.model_validate(again.plan).servers == ["b", "c", "d", "e"]


def test_a_retry_from_the_failed_step_begins_at_the_first_where_all_was_undone(mixed):
    plan, found = mixed
    again = retry_of(plan, found, from_failed=True)
    assert again.plan["startAt"] == {"b": 1}
    assert Plan.model_validate(again.plan).start_at == {"b": 1}


def test_a_retry_of_servers_says_whom_it_leaves_out(mixed):
    plan, found = mixed
    again = retry_of(plan, found, servers=["a", "d"])
    assert again.servers == ("d",)
    assert again.remarks == ("a succeeded: left out",)
    with pytest.raises(Conflict, match="not in this rollout: z"):
        retry_of(plan, found, servers=["z"])


def test_a_retry_keeps_where_servers_began_and_forgets_the_others():
    plan = plan_of("a", "b", startAt={"a": 1, "b": 1})
    again = retry_of(plan, ends(end("a"), end("b", "failed", steps_executed=[])))
    assert again.plan["startAt"] == {"b": 1}


def undo(plan, found, **options):
    return rollback_of(plan, found, rollout_id="web-1", run_id="run", **options)


def test_a_rollback_takes_the_servers_where_something_began_and_says_how_much(mixed):
    plan, found = mixed
    again = undo(plan, found)
    assert again.servers == ("a", "b")
    assert again.remarks == ("c is already rolled back: left out",)
    assert again.plan["rollbackOf"] == {
        "rolloutId": "web-1",
        "runId": "run",
        "force": False,
        "generation": 0,
        "begun": {"a": 2, "b": 2},
        "generations": {},
    }
    assert Plan.model_validate(again.plan).rollback_of.begun == {"a": 2, "b": 2}


def test_a_rollback_counts_from_where_a_server_began():
    plan = plan_of("a", "b", startAt={"a": 1})
    begun = undo(plan, ends(end("a"), end("b"))).plan["rollbackOf"]["begun"]
    assert begun == {"a": 1, "b": 2}


def test_a_server_of_unknown_outcome_is_rolled_back_by_its_own_journal():
    again = undo(plan_of("a"), ends(end("a", "unknown")))
    assert again.plan["rollbackOf"]["begun"] == {"a": 0}


def test_a_server_that_failed_before_its_first_step_has_nothing_to_undo():
    assert undo(plan_of("a"), ends(end("a", "failed"))).servers == ()


def test_only_a_retry_takes_rollbacks_that_failed_or_are_pending():
    plan = plan_of("a", "b", "c")
    stuck = {"steps_executed": steps(False)}
    found = ends(
        end("a"),
        end("b", "failed", rollback_failed=True, **stuck),
        end("c", "failed", rollback_pending=True, **stuck),
    )
    first = undo(plan, found)
    assert first.servers == ("a",)
    assert first.remarks == (
        "b has a rollback that is failed (--retry tries it again): left out",
        "c has a rollback that is pending (--retry tries it again): left out",
    )
    assert first.stuck == ("b", "c")
    retried = undo(plan, found, retry=True, generation=3)
    assert (retried.servers, retried.stuck) == (("b", "c"), ())


def test_a_rollback_knows_steps_that_an_operator_had_retried():
    found = ends(end("a", "failed", steps_executed=steps(True, False, generation=2)))
    again = undo(plan_of("a"), found)
    assert again.plan["rollbackOf"]["generations"] == {"a": [2, 2]}


def test_a_rollback_goes_to_its_end_without_canaries_gates_and_waits():
    strategy = {
        "type": "Canary",
        "batchSize": 2,
        "approval": "everyBatch",
        "batchDelaySeconds": 60,
        "maxConcurrency": 5,
    }
    plan = plan_of("a", rolloutStrategy=strategy, deadline="1h")
    wire = undo(plan, ends(end("a"))).plan
    assert wire["rolloutStrategy"] == {
        "type": "Rolling",
        "batchSize": 2,
        "maxConcurrency": 5,
        "maxFailures": -1,
    }
    assert "deadline" not in wire


def test_a_large_result_leaves_out_servers_that_succeeded():
    result = RolloutResult(
        success=False, servers_patched=1, servers_failed=1, results=[end("b", "failed")]
    )
    found = ends_of(plan_of("a", "b"), result)
    assert found["a"].success
    assert undo(plan_of("a", "b"), found).plan["rollbackOf"]["begun"] == {"a": 2}


def test_of_a_rollout_that_was_cut_short_only_what_surely_never_began_counts_as_not_started():
    states = {"a": "succeeded", "b": "running", "c": "pending"}
    seen = Progress(
        servers=[ServerProgress(server_id=key, state=state) for key, state in states.items()]
    )
    found = ends_of_progress(plan_of("a", "b", "c", "d"), seen)
    assert [found[server].status.value for server in "abcd"] == [
        "succeeded",
        "unknown",
        "notStarted",
        "unknown",
    ]


def test_what_an_earlier_rollback_undid_is_not_undone_again():
    found = ends(end("a"), end("b"), end("c"))
    later = ends(
        end("a", rolled_back=True),
        end("b", "failed", rollback_failed=True),
        end("c", "unreachable"),
    )
    now = after_rollback(found, later)
    plan = plan_of("a", "b", "c")
    assert undo(plan, now).servers == ("c",)
    assert undo(plan, now, retry=True).servers == ("b",)
