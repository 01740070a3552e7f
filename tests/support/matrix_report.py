"""A pytest plugin: at the end of a run, which rows of the fault matrix passed, and how long recovery took."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

RECOVERIES = pytest.StashKey[list]()
OUTCOMES = pytest.StashKey[dict]()
#: Under this name a test's report carries what `record_recovery` has noted.
RECOVERY = "recovery"


def pytest_addoption(parser):
    parser.addoption(
        "--matrix-report", metavar="FILE", help="write the fault matrix as JSON to FILE"
    )
    parser.addoption("--seed", type=int, metavar="N", help="seed of the random faults")


def pytest_configure(config):
    config.stash[RECOVERIES] = []
    config.stash[OUTCOMES] = defaultdict(set)
    config.pluginmanager.register(_Collector(config), "matrix-collector")


class _Collector:
    """Takes reports as they come in, from this process or from those that run tests for it."""

    def __init__(self, config):
        self._config = config

    def pytest_runtest_logreport(self, report):
        stash = self._config.stash
        if report.when == "call":
            stash[RECOVERIES] += [
                entry for name, entry in report.user_properties if name == RECOVERY
            ]
        if report.when == "call" or report.outcome != "passed":
            # tests/a.py::test_b[c] belongs to the row that names tests/a.py::test_b
            stash[OUTCOMES][report.nodeid.partition("[")[0]].add(report.outcome)


def rows(outcomes, recoveries):
    """Return every row of the matrix with its state: pass, fail, partly run or not run."""
    from faults.matrix import MATRIX

    for row in MATRIX:
        seen = [outcomes.get(test, set()) for test in row.tests]
        if any("failed" in one for one in seen):
            state = "fail"
        elif seen and all(one == {"passed"} for one in seen):
            state = "pass"
        else:
            state = "partly run" if any("passed" in one for one in seen) else "not run"
        yield {
            "row": row.id,
            "fault": row.fault,
            "tier": row.tier,
            "state": state,
            "tests": list(row.tests),
            "why": row.why,
            "recoveries": [entry for entry in recoveries if entry["row"] == row.id],
        }


def pytest_terminal_summary(terminalreporter, config):
    target = config.getoption("--matrix-report")
    if not config.stash[RECOVERIES] and not target:
        return
    told = list(rows(config.stash[OUTCOMES], config.stash[RECOVERIES]))
    terminalreporter.section("fault matrix")
    shown = [row for row in told if row["state"] != "not run" or row["why"]]
    for row in shown:
        times = ", ".join(f"{entry['seconds']} s" for entry in row["recoveries"])
        note = times or row["why"]
        terminalreporter.line(f"{row['row']:<4}{row['state']:<11}{row['fault']:<62.62}{note}")
    terminalreporter.line(f"{len(told) - len(shown)} more rows: none of their tests was selected")
    if target:
        Path(target).write_text(json.dumps(told, indent=1) + "\n")
