from datetime import timedelta

from kitsune.dashboard.views.picture import picture_of, server_of
from kitsune.dashboard.views.server import server_page
from kitsune.models.results import ServerResult, StepOutcome
from kitsune.service.outcomes import Finished
from kitsune.service.server_steps import ServerLook, StepAtWork
from support.rollouts import NOW, START, make_plan, make_progress, make_result, make_row

STEPS = [
    {"name": "write", "type": "file_write", "params": {"path": "/a", "content": ""}},
    {"name": "restart", "type": "script", "params": {"command": "x"}},
    {"name": "smoke", "type": "script", "params": {"command": "y"}},
]
PLAN = make_plan(3, steps=STEPS)
WRITE = StepOutcome(
    name="write",
    success=True,
    type="file_write",
    index=0,
    started_at=START,
    ended_at=START + timedelta(seconds=2),
    outputs={"changed": True, "diff": ""},
)
RESTART = StepOutcome(
    name="restart",
    success=False,
    type="script",
    index=1,
    status="failed",
    error="exit code 1",
    executions=2,
    deliveries=3,
    undone="rolledBack",
    outputs={
        "exitCode": 1,
        "stdout": {"text": "ok\n", "bytes": 3, "truncated": False},
        "stderr": {"text": "\x1b[31mbad\x1b[0m <b>\n", "bytes": 2048, "truncated": True},
    },
)


def _page(picture, look=None, server="web-2"):
    return server_page(picture, server_of(picture, server), plan=PLAN, look=look, now=NOW)


def _failed():
    result = make_result(PLAN, ["succeeded", "failed", "failed"])
    results = list(result.results)
    results[1] = results[1].model_copy(
        update={"steps_executed": [WRITE, RESTART], "rolled_back": True}
    )
    outcome = Finished(result.model_copy(update={"results": results}))
    return picture_of(make_row(open=False, state="failed"), outcome=outcome, plan=PLAN)


def test_the_step_that_failed_is_open_and_its_complaint_stands_first():
    page = _page(_failed())
    assert [(step.name, step.sign.word, step.open) for step in page.steps] == [
        ("write", "succeeded", False),
        ("restart", "failed", True),
        ("smoke", "not run", False),
    ]
    restart = page.steps[1]
    assert [stream.name for stream in restart.streams] == ["stderr", "stdout"]
    assert restart.streams[0].lines[0][0].classes == "a-f-red"
    assert restart.streams[0].part == "head and tail of 2.0 KiB"
    assert restart.values == (("exitCode", "1"),)
    assert restart.attempts == "ran twice, handed out 3 times, answered from the server's journal"
    assert restart.undone == "rolled back"
    assert restart.log_command == "kitsune logs web-1a web-2 --step restart"
    assert page.steps[0].values == (("changed", "true"),)


def test_one_can_go_through_the_servers_that_failed():
    assert (_page(_failed()).before, _page(_failed()).after) == ("", "web-3")
    assert _page(_failed(), server="web-3").before == "web-2"
    assert _page(_failed(), server="web-1").after == ""


def test_a_step_at_work_shows_its_last_lines():
    picture = picture_of(
        make_row(), progress=make_progress(PLAN, ["succeeded", "running"]), plan=PLAN
    )
    at_work = StepAtWork(
        "restart", 1, "script", START, delivery=2, said={"stdout": "3 left\n2 left"}
    )
    page = _page(picture, ServerLook((WRITE,), at_work))
    assert [step.sign.word for step in page.steps] == ["succeeded", "running", "to come"]
    assert [len(stream.lines) for stream in page.steps[1].streams] == [2]
    assert page.steps[1].attempts == "handed out 2 times"
    assert page.going


def test_a_server_that_succeeded_in_a_large_rollout_has_steps_without_output():
    picture = _failed()
    page = _page(picture, server="web-1")
    assert [step.sign.word for step in page.steps] == ["succeeded"] * 3


def test_what_its_own_workflow_tells_fills_in_what_the_result_leaves_out():
    look = ServerLook((WRITE,), result=ServerResult(server_id="web-1", success=True))
    page = _page(_failed(), look, server="web-1")
    assert page.steps[0].values == (("changed", "true"),)


def test_steps_that_were_done_before_are_told_apart():
    plan = PLAN.model_copy(update={"start_at": {"web-2": 1}})
    progress = make_progress(plan, ["running", "running"])
    picture = picture_of(make_row(), progress=progress, plan=plan)
    page = server_page(picture, server_of(picture, "web-2"), plan=plan, look=None, now=NOW)
    assert [step.sign.word for step in page.steps] == ["done before", "to come", "to come"]
