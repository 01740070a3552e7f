"""`kitsune diff` says the same thing once, and its exit code what a nightly job wants to know."""

import pytest

from kitsune.cli.console import Glyphs
from kitsune.cli.diff import exit_of
from kitsune.cli.diff_text import answers_json, diff_lines
from kitsune.models.checks import CheckResult, CheckStatus
from kitsune.models.plan import Plan
from kitsune.rollout.check_groups import ServerCheck, group_checks
from kitsune.rollout.steps import resolve_steps

STEPS = resolve_steps(
    Plan.model_validate(
        {
            "servers": ["a"],
            "steps": [
                {"name": "write conf", "type": "file_write"},
                {"name": "go", "type": "script"},
            ],
        }
    )
)
SAME = CheckResult.identical()
OTHER = CheckResult.differs(
    "mode 0644 → 0600", diff="--- f\n+++ f (plan)\n@@ -1 +1 @@\n-\x1b[2J\n+b"
)
UNKNOWN = CheckResult.unknown("a step of type script cannot be checked")
FAILS = CheckResult(status=CheckStatus.FAILS, note="'/x' is a folder")


@pytest.fixture
def fleet():
    return [
        *(ServerCheck(f"web-{n}", {0: SAME, 1: UNKNOWN}) for n in range(7)),
        ServerCheck("odd", {0: OTHER, 1: UNKNOWN}),
        ServerCheck("bad", {0: FAILS, 1: UNKNOWN}),
        ServerCheck("gone", trouble="its local worker does not answer", away=True),
    ]


def test_the_answer_for_people(fleet):
    lines = diff_lines(group_checks(STEPS, fleet), fleet, signs=Glyphs(), show_all=False)
    assert "\n".join(line.plain for line in lines) == (
        "1 write conf (file_write): identical on 7, differs on 1, would fail on 1, unknown on 1\n"
        "  ✖ 1 server: bad\n"
        "      '/x' is a folder\n"
        "  ~ 1 server: odd\n"
        "      mode 0644 → 0600\n"
        "      --- f\n"
        "      +++ f (plan)\n"
        "      @@ -1 +1 @@\n"
        "      -\\x1b[2J\n"
        "      +b\n"
        "\n"
        "2 go (script): unknown on 10\n"
        "  ? 9 servers: web-0, web-1, web-2, web-3, web-4 and 4 more\n"
        "      a step of type script cannot be checked\n"
        "\n"
        "? 1 server: gone: its local worker does not answer\n"
        "\n"
        "10 servers: 1 would fail, 1 would change, 8 unknown; 1 of 2 steps unknown"
    )


def summary(*checks):
    found = list(checks)
    *_, last = diff_lines(group_checks(STEPS, found), found, signs=Glyphs(), show_all=False)
    return last.plain


def test_a_step_that_cannot_be_checked_is_counted_beside_what_differs():
    assert summary(ServerCheck("a", {0: OTHER, 1: UNKNOWN})) == (
        "1 server: 1 would change; 1 of 2 steps unknown"
    )


def test_where_every_step_can_be_checked_none_is_called_unknown():
    assert summary(ServerCheck("a", {0: SAME, 1: SAME})) == "1 server: 1 as the plan wants it"


def test_a_server_that_is_silent_makes_no_step_unknown():
    away = ServerCheck("b", trouble="its local worker does not answer", away=True)
    assert summary(ServerCheck("a", {0: SAME, 1: SAME}), away) == (
        "2 servers: 1 unknown, 1 as the plan wants it"
    )


def test_the_answer_for_programs_has_every_server(fleet):
    answer = answers_json(group_checks(STEPS, fleet), fleet)
    assert answer["byServer"]["odd"] == "differs"
    assert sum(len(group["servers"]) for group in answer["steps"][0]["groups"]) == 10
    assert answer["steps"][0]["groups"][1]["diff"] == OTHER.diff


@pytest.mark.parametrize(
    ("results", "trouble", "plain", "asked"),
    [
        ([SAME], "", 0, 0),
        ([OTHER], "", 0, 10),
        ([UNKNOWN], "", 0, 4),
        ([OTHER, UNKNOWN], "", 0, 10),
        ([FAILS, OTHER], "", 3, 3),
        ([], "away", 4, 4),
        ([OTHER], "away", 4, 10),
    ],
)
def test_the_exit_code(results, trouble, plain, asked):
    checks = [ServerCheck("a", dict(enumerate(results)), trouble=trouble)]
    assert exit_of(checks, as_exit_code=False) == plain
    assert exit_of(checks, as_exit_code=True) == asked
