from kitsune.dashboard.views.picture import picture_of, server_of
from kitsune.models.plan import RollbackOf
from kitsune.models.problems import Problem
from kitsune.models.progress import Progress
from kitsune.service.outcomes import CutShort, Finished, Refused
from support.rollouts import make_plan, make_progress, make_result, make_row


def test_a_running_rollout_has_its_servers_in_the_batches_of_its_plan():
    plan = make_plan(6, type="Canary", canaryPercentage=10, batchSize=3, approval="everyBatch")
    progress = make_progress(plan, ["succeeded", "running", "failed"])
    picture = picture_of(make_row(), progress=progress, plan=plan)
    assert picture.known
    assert [len(batch.servers) for batch in picture.batches] == [1, 3, 2]
    assert [batch.state for batch in picture.batches] == ["done", "running", "pending"]
    assert [batch.gate for batch in picture.batches] == ["canary", "batch-2", ""]
    assert picture.batches[0].canary
    assert picture.counts == {"succeeded": 1, "running": 1, "failed": 1, "pending": 3}


def test_a_rollback_takes_the_newest_servers_first():
    undone = RollbackOf(rollout_id="web-1a", run_id="r")
    plan = make_plan(4, type="Rolling", batchSize=2).model_copy(update={"rollback_of": undone})
    progress = make_progress(make_plan(4), ["pending"] * 4)
    picture = picture_of(make_row(), progress=progress, plan=plan)
    assert [s.server_id for s in picture.batches[0].servers] == ["web-4", "web-3"]


def test_an_ended_rollout_counts_those_that_its_result_leaves_out_as_succeeded():
    plan = make_plan(5)
    result = make_result(plan, ["succeeded"] * 4 + ["failed"], results_omitted=4)
    shortened = result.model_copy(update={"results": result.results[-1:]})
    row = make_row(open=False, state="failed")
    picture = picture_of(row, outcome=Finished(shortened), plan=plan)
    assert picture.counts == {"succeeded": 4, "failed": 1}
    assert server_of(picture, "web-1").state == "succeeded"
    assert server_of(picture, "elsewhere") is None


def test_without_any_worker_the_row_and_the_plan_are_shown():
    plan = make_plan(3)
    picture = picture_of(make_row(counts={"succeeded": 1}, total=3), plan=plan)
    assert not picture.known
    assert [server.server_id for server in picture.servers] == ["web-1", "web-2", "web-3"]
    assert picture.counts == {"succeeded": 1}


def test_a_rollout_that_has_not_yet_read_its_plan_is_not_taken_for_an_empty_one():
    picture = picture_of(make_row(total=None), progress=Progress())
    assert not picture.known
    assert picture.batches == ()


def test_a_refused_plan_shows_its_problems():
    problems = (Problem(path="servers", message="required, but missing"),)
    row = make_row(open=False, state="refused")
    picture = picture_of(row, outcome=Refused("no", problems))
    assert picture.state == "refused"
    assert picture.problems == ("servers: required, but missing",)


def test_a_rollout_that_was_cut_short_keeps_what_was_last_known():
    plan = make_plan(2)
    row = make_row(open=False, state="terminated")
    picture = picture_of(
        row,
        progress=make_progress(plan, ["succeeded", "running"]),
        outcome=CutShort("terminated", "terminated in Temporal: by hand"),
        plan=plan,
    )
    assert (picture.state, picture.cut_short) == ("terminated", "terminated in Temporal: by hand")
    assert picture.counts == {"succeeded": 1, "running": 1}
