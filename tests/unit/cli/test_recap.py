"""The recap names what happened, to whom, why, and what to type next."""

import pytest

from kitsune.cli.console import Glyphs
from kitsune.cli.recap import lasted, names_text, recap
from kitsune.models.problems import Problem
from kitsune.models.results import RolloutStatus, StepOutcome
from kitsune.service.outcomes import CutShort, Finished, Refused


@pytest.fixture
def told():
    def tell(outcome, **options):
        lines = recap(outcome, rollout_id="web-1", glyphs=Glyphs(), **options)
        return "\n".join(line.plain.rstrip() for line in lines)

    return tell


def test_a_stopped_rollout_is_told_whole(told, result_of, ended):
    result = result_of(
        ended("server-1"),
        ended("server-2", "failed", error="step 'deploy': exit code 3:\nbad", rolled_back=True),
        ended("server-3", "failed", error="step 'deploy': exit code 4:\nbad"),
        ended("server-4", "notStarted", error="not started: 2 servers failed"),
        status=RolloutStatus.STOPPED,
        reason="2 servers failed, 1 allowed",
    )
    assert told(Finished(result), plan_file="plan.yaml") == (
        "web-1 (web): stopped in 1m12s\n"
        "  2 servers failed, 1 allowed\n"
        "\n"
        "  1 ✔ succeeded\n"
        "  2 ✖ failed  server-2, server-3; 1 rolled back\n"
        "  1 · not started  server-4\n"
        "\n"
        "Failures\n"
        "  ✖ 2 servers: server-2, server-3\n"
        "      step 'deploy': exit code 3:\n"
        "      bad\n"
        "\n"
        "Undone\n"
        "  ↩ rolled back: server-2\n"
        "\n"
        "  $ kitsune status web-1 -o json    # every step with its output\n"
        "  $ kitsune retry web-1    # the same plan, where it went wrong\n"
        "  $ kitsune run plan.yaml --servers server-2,server-3,server-4    # once the plan is mended\n"
        "  $ kitsune rollback web-1    # undoes what has succeeded"
    )


def test_success_suggests_no_second_run(told, result_of, ended):
    text = told(Finished(result_of(ended("a"))))
    assert text.startswith("web-1 (web): succeeded in 1m12s")
    assert "kitsune run" not in text
    assert "Failures" not in text


def test_a_rollback_that_failed_names_the_step_and_the_reason(told, result_of, ended):
    step = StepOutcome(name="copy", success=True, undone="rollbackFailed", undo_error="disk full")
    server = ended("a", "failed", error="x", rollback_failed=True, steps_executed=[step])
    text = told(Finished(result_of(server, status=RolloutStatus.STOPPED)))
    assert "rollback failed on a: see to it by hand" in text
    assert "step 'copy': disk full" in text


def test_a_rollback_that_had_nothing_to_undo_is_not_called_one(told, result_of, ended):
    step = StepOutcome(name="run", success=False, undone="nothingToUndo")
    server = ended("a", "failed", error="x", rolled_back=True, steps_executed=[step])
    text = told(Finished(result_of(server, status=RolloutStatus.STOPPED)))
    assert "rolled back" not in text
    assert "nothing that could be undone: a" in text


def test_a_long_error_is_cut_and_says_so(told, result_of, ended):
    error = "\n".join(f"line {number}" for number in range(20))
    result = result_of(ended("a", "failed", error=error), status=RolloutStatus.FAILED)
    text = told(Finished(result))
    assert "line 7\n" in text
    assert "line 8" not in text
    assert "12 more lines" in text


def test_what_a_server_printed_cannot_move_the_cursor(told, result_of, ended):
    result = result_of(ended("a", "failed", error="\x1b[2Jgone"), status=RolloutStatus.FAILED)
    assert "\x1b" not in told(Finished(result))


def test_many_failed_servers_are_to_be_given_as_a_file(told, result_of, ended):
    servers = [ended(f"s{number}", "failed", error="x") for number in range(20)]
    text = told(Finished(result_of(*servers, status=RolloutStatus.FAILED)), plan_file="plan.yaml")
    assert "kitsune run plan.yaml --servers @FILE" in text
    assert "20 servers: s0, s1, s2 and 17 more" in text


def test_a_refusal_says_that_nothing_was_touched(told):
    text = told(Refused(message="", problems=(Problem(path="steps", message="missing"),)))
    assert text == "web-1: refused; no server was touched\n  ✖ steps: missing"


def test_a_refusal_without_details_tells_its_message(told):
    assert "  ✖ two\n" in told(Refused(message="one\ntwo\nthree", problems=()))


def test_a_rollout_that_was_cut_short_asks_for_a_look(told):
    text = told(CutShort(state="terminated", message="terminated in Temporal: fat finger"))
    assert "fat finger" in text
    assert "look at them" in text


def test_a_few_names_are_all_told():
    assert names_text(["a", "b", "c"]) == "a, b, c"
    assert names_text(["a", "b", "c", "d"]) == "a, b, c and 1 more"


def test_a_clock_that_ran_backwards_lasts_nothing(after):
    assert lasted(after(5), after(1)) == "0s"
    assert lasted(None, after(1)) == ""


def test_a_rollback_that_is_pending_names_the_command_that_tries_it_again(told, result_of, ended):
    server = ended("a", "unknown", error="away", rollback_pending=True)
    result = result_of(server, status=RolloutStatus.STOPPED, rollback_pending=1)
    text = told(Finished(result))
    assert "rollback pending, was away for too long: a" in text
    assert "$ kitsune rollback web-1 --retry" in text


def test_the_recap_of_a_rollback_says_what_it_undid(told, result_of, ended):
    result = result_of(ended("a", rolled_back=True), rollback_of="web-0")
    text = told(Finished(result))
    assert text.startswith("web-1 (web): rollback of web-0 succeeded in 1m12s")
    assert "kitsune retry" not in text
