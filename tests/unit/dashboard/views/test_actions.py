import importlib
import shlex

import pytest

from kitsune.cli.main import COMMANDS
from kitsune.dashboard.views.actions import actions_of, held_of
from kitsune.dashboard.views.commands import command
from kitsune.dashboard.views.events import events_of
from kitsune.dashboard.views.picture import picture_of
from kitsune.models.orders import Gate
from kitsune.models.results import RolloutStatus, ServerResult
from kitsune.service.outcomes import Finished
from support.rollouts import NOW, make_plan, make_progress, make_result, make_row


def anybody(_verb):
    return ""


def _running(states=("running",), row=None, **changes):
    plan = make_plan(4)
    return picture_of(
        row or make_row(), progress=make_progress(plan, list(states), **changes), plan=plan
    )


def _ended(states, **changes):
    plan = make_plan(len(states))
    outcome = Finished(make_result(plan, list(states), **changes))
    return picture_of(make_row(open=False), outcome=outcome, plan=plan)


def _verbs(picture):
    return [action.verb for action in actions_of(picture, may=anybody)]


def test_a_running_rollout_can_be_paused_limited_and_aborted():
    assert _verbs(_running()) == ["pause", "set", "abort"]


def test_a_gate_is_approved_by_its_name():
    actions = actions_of(_running(gate=Gate(id="batch-2", opened_at=NOW)), may=anybody)
    assert actions[0].verb == "approve"
    assert (actions[0].fields[0].name, actions[0].fields[0].value) == ("gate", "batch-2")
    assert actions[0].command == "kitsune approve web-1a --gate batch-2"


def test_a_paused_rollout_can_be_resumed():
    assert _verbs(_running(paused=True)) == ["resume", "set", "abort"]


def test_what_ended_badly_can_be_retried_and_rolled_back():
    assert _verbs(_ended(["succeeded", "failed"])) == ["retry", "rollback"]
    assert _verbs(_ended(["succeeded", "succeeded"])) == ["rollback"]


def test_only_what_is_left_to_undo_can_be_rolled_back():
    plan = make_plan(3)
    result = make_result(
        plan, ["succeeded", "cancelled", "notStarted"], status=RolloutStatus.ABORTED
    )
    undone = [result.results[0].model_copy(update={"rolled_back": True}), *result.results[1:]]
    row = make_row(open=False)
    left = picture_of(row, outcome=Finished(result), plan=plan)
    assert _verbs(left) == ["retry", "rollback"]
    assert "on 1 server," in actions_of(left, may=anybody)[1].explain
    nothing = Finished(result.model_copy(update={"results": undone}))
    assert _verbs(picture_of(row, outcome=nothing, plan=plan)) == ["retry"]
    later = {"web-1": ServerResult(server_id="web-1", success=True, status="succeeded")}
    since = {"web-1a-rollback-1": later}
    mended = picture_of(row, outcome=Finished(result), plan=plan, rollbacks=since)
    assert _verbs(mended) == ["retry"]
    assert mended.counts["rolledBack"] == 1


def test_a_rollback_that_was_retried_well_is_retried_no_more():
    plan = make_plan(2)
    result = make_result(plan, ["failed", "notStarted"])
    stuck = result.results[0].model_copy(update={"rollback_failed": True})
    outcome = Finished(result.model_copy(update={"results": [stuck, result.results[1]]}))
    row = make_row(open=False)
    before = picture_of(row, outcome=outcome, plan=plan)
    assert [action.label for action in actions_of(before, may=anybody)] == [
        "Retry rollback",
        "Retry",
    ]
    later = {"web-1": ServerResult(server_id="web-1", success=True, status="succeeded")}
    after = picture_of(row, outcome=outcome, plan=plan, rollbacks={"web-1a-rollback-1": later})
    assert [action.label for action in actions_of(after, may=anybody)] == ["Retry"]
    assert [look for look in after.counts if look.startswith("rollback")] == []
    assert any("rollback failed" in event.text for event in events_of(after)), "it stays told"


def test_rolling_back_a_whole_rollout_wants_its_id_typed():
    (rollback,) = actions_of(_ended(["succeeded"]), may=anybody)
    typed = [field for field in rollback.fields if field.kind == "typed"]
    assert [field.value for field in typed] == ["web-1a"]


def test_a_rollback_is_neither_retried_nor_rolled_back():
    assert _verbs(_ended(["failed"], rollback_of="web-0")) == []


def test_a_refused_rollout_has_nothing_to_do():
    assert _verbs(picture_of(make_row(open=False, state="refused"))) == []


def test_a_role_that_does_not_reach_is_named():
    actions = actions_of(_running(), may=lambda verb: "operator" if verb == "abort" else "")
    assert {action.verb: action.needs for action in actions} == {
        "pause": "",
        "set": "",
        "abort": "operator",
    }


def test_a_held_server_has_three_answers():
    details = {"web_2": {"error": "step 'work': exit code 1", "failed_step": "work"}}
    picture = _running(["succeeded", "held"], details=details)
    (held,) = held_of(picture, may=anybody)
    assert (held.server_id, held.step) == ("web-2", "work")
    assert [action.verb for action in held.actions] == ["retry", "skip", "rollback"]
    assert all((a.fields[0].name, a.fields[0].value) == ("serverId", "web-2") for a in held.actions)
    assert held_of(picture, may=anybody, only="web-1") == []


@pytest.mark.parametrize(
    "picture",
    [_running(), _running(paused=True), _ended(["failed"]), _running(["held"])],
    ids=["running", "paused", "ended", "held"],
)
def test_every_action_has_a_command_that_there_is(picture):
    shown = [*actions_of(picture, may=anybody)]
    shown += [action for held in held_of(picture, may=anybody) for action in held.actions]
    for action in shown:
        program, word, rollout_id, *_ = shlex.split(action.command)
        assert (program, word, rollout_id) == ("kitsune", action.verb, "web-1a")
        assert word in COMMANDS


def test_words_are_quoted_for_a_shell():
    assert command("logs", "a", "--step", "restart; rm -rf /") == (
        "kitsune logs a --step 'restart; rm -rf /'"
    )


def test_every_choice_has_an_option_that_its_command_takes():
    shown = []
    for picture in (_running(), _running(["held"]), _ended(["failed"])):
        shown += actions_of(picture, may=anybody)
    flags = {(a.verb, field.flag.split()[0]) for a in shown for field in a.fields if field.flag}
    assert ("abort", "--rollback") in flags
    for verb, flag in flags:
        module, name, _ = COMMANDS[verb]
        command_of_verb = getattr(importlib.import_module(module), name)
        assert flag in {option for param in command_of_verb.params for option in param.opts}
