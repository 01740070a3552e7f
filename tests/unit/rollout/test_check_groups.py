"""Answers that are the same are shown once; silence is never taken for agreement."""

from kitsune.models.checks import CheckResult, CheckStatus
from kitsune.models.plan import Plan
from kitsune.rollout.check_groups import ServerCheck, group_checks, worst_of
from kitsune.rollout.steps import resolve_steps

STEPS = resolve_steps(
    Plan.model_validate(
        {"servers": ["a"], "steps": [{"name": name, "type": "x"} for name in ("one", "two")]}
    )
)
SAME = CheckResult.identical()
FIRST = CheckResult.differs("mode 0644 → 0600", diff="-a\n+b")
SECOND = CheckResult.differs("mode 0644 → 0600", diff="-c\n+b")


def test_servers_with_one_difference_are_one_group_and_the_differences_come_first():
    checks = [ServerCheck(f"same-{n}", {0: SAME, 1: SAME}) for n in range(198)]
    checks += [ServerCheck("x", {0: FIRST, 1: SAME}), ServerCheck("y", {0: FIRST, 1: SAME})]
    checks += [ServerCheck("z", {0: SECOND, 1: SAME})]
    one, two = group_checks(STEPS, checks)
    assert [(group.result.status, len(group.servers)) for group in one.groups] == [
        (CheckStatus.DIFFERS, 2),
        (CheckStatus.DIFFERS, 1),
        (CheckStatus.IDENTICAL, 198),
    ]
    assert one.count(CheckStatus.DIFFERS) == 3
    assert [group.servers for group in one.groups][:2] == [("x", "y"), ("z",)]
    assert two.count(CheckStatus.IDENTICAL) == 201


def test_a_server_that_fell_silent_is_unknown_for_the_rest():
    check = ServerCheck("a", {0: SAME}, trouble="away")
    one, two = group_checks(STEPS, [check])
    assert one.groups[0].result.status is CheckStatus.IDENTICAL
    assert (two.groups[0].result.status, two.groups[0].result.note) == (CheckStatus.UNKNOWN, "away")
    assert worst_of(check) is CheckStatus.UNKNOWN
    assert worst_of(ServerCheck("a")) is CheckStatus.UNKNOWN


def test_a_server_is_identical_only_where_every_step_is():
    fails = CheckResult(status=CheckStatus.FAILS)
    unknown = CheckResult.unknown("a script")
    assert worst_of(ServerCheck("a", {0: SAME, 1: SAME})) is CheckStatus.IDENTICAL
    assert worst_of(ServerCheck("a", {0: SAME, 1: unknown})) is CheckStatus.UNKNOWN
    assert worst_of(ServerCheck("a", {0: unknown, 1: FIRST})) is CheckStatus.DIFFERS
    assert worst_of(ServerCheck("a", {0: FIRST, 1: fails})) is CheckStatus.FAILS
