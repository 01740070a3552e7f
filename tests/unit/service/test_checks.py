"""What the doctor makes of what it has seen."""

from datetime import timedelta

import pytest

from kitsune.cli.doctor import lines_of
from kitsune.service import checks
from kitsune.service.checks import Finding, Level


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ("1.32.0", Level.OK),
        ("1.30.3", Level.OK),
        ("1.30.2", Level.PROBLEM),
        ("1.9.9", Level.PROBLEM),
        ("strange", Level.WARNING),
    ],
)
def test_an_old_temporal_is_a_problem(version, level):
    assert checks.judge_version(version).level is level


def test_a_short_retention_is_a_warning():
    assert checks.judge_retention(timedelta(days=3)).level is Level.OK
    assert checks.judge_retention(timedelta(days=2)).level is Level.WARNING


def test_no_orchestrator_is_a_problem_and_two_versions_are_a_warning():
    assert checks.judge_orchestrators({}).level is Level.PROBLEM
    assert checks.judge_orchestrators({}, polling=1).level is Level.WARNING
    assert checks.judge_orchestrators({"a": "1.0.0", "b": "1.0.0"}).level is Level.OK
    assert checks.judge_orchestrators({"a": "1.0.0", "b": "1.0.1"}).level is Level.WARNING


def test_a_large_fleet_is_told_which_limit_to_raise():
    assert checks.judge_polls(550, exhausted=False).level is Level.OK
    large = checks.judge_polls(10_000, exhausted=False)
    assert large.level is Level.WARNING
    assert "frontend.namespaceCount to 40000" in large.advice
    assert checks.judge_polls(10, exhausted=True).level is Level.PROBLEM


def test_more_than_one_partition_is_a_warning():
    assert checks.judge_partitions({"a": 1}).level is Level.OK
    found = checks.judge_partitions({"a": 1, "b": 4})
    assert (found.level, found.servers) == (Level.WARNING, ("b",))


def test_silent_servers_are_counted_and_only_a_few_are_named():
    found = checks.judge_silent(9, [f"s{number}" for number in range(7)])
    assert found.level is Level.PROBLEM
    assert found.seen == "7 of 9 do not answer: s0, s1, s2, s3, s4 and 2 more"
    assert len(found.servers) == 7


def test_a_clock_that_is_off_either_way_is_a_warning():
    offsets = {"a": timedelta(seconds=-9), "b": timedelta(seconds=5), "c": timedelta(seconds=70)}
    found = checks.judge_clocks(offsets)
    assert (found.level, found.servers) == (Level.WARNING, ("a", "c"))
    assert found.seen == "off: c (+70 s), a (-9 s)"


def test_another_patch_version_is_no_skew_and_another_minor_version_is():
    assert checks.judge_versions({"a": "1.2.9"}, orchestrator="1.2.0").level is Level.OK
    found = checks.judge_versions({"a": "1.1.0", "b": "1.2.0"}, orchestrator="1.2.0")
    assert (found.level, found.servers) == (Level.WARNING, ("a",))


def test_one_server_id_on_two_hosts_is_a_problem_and_a_restart_is_not():
    assert checks.judge_duplicates({"a": ["x", "x"]}).level is Level.OK
    assert checks.judge_duplicates({"a": ["x", "y"]}).seen == "a on x and y"


def test_the_worst_finding_decides():
    levels = [
        Finding("x", Level.WARNING, ""),
        Finding("y", Level.PROBLEM, ""),
        Finding("z", Level.OK, ""),
    ]
    assert checks.worst_of(levels) is Level.PROBLEM
    assert checks.worst_of([]) is Level.OK


def test_a_finding_fits_into_sixty_columns():
    found = checks.judge_silent(40, [f"server-{number}" for number in range(20)])
    lines = [line.plain for line in lines_of(found)]
    assert lines[0].startswith("problem  agents: 20 of 40")
    assert max(map(len, lines)) <= 60
    assert any(line.startswith("         -> is the local worker") for line in lines)
