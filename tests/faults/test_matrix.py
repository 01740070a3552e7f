"""The matrix names tests that exist, and reports them honestly."""

import ast
from pathlib import Path

import pytest

from faults.matrix import MATRIX
from support.matrix_report import rows

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("row", MATRIX, ids=lambda row: row.id)
def test_a_row_names_tests_that_exist_or_says_why_not(row):
    assert bool(row.tests) != bool(row.why)
    for test in row.tests:
        path, _, name = test.partition("::")
        tree = ast.parse((ROOT / path).read_text())
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, functions)}


def test_a_row_stands_once():
    ids = [row.id for row in MATRIX]
    assert len(ids) == len(set(ids))


def test_a_fault_test_belongs_to_a_row():
    named = {test for row in MATRIX for test in row.tests}
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and "record_recovery" in ast.dump(node.args):
                assert f"tests/faults/{path.name}::{node.name}" in named


def test_a_row_passes_only_when_all_its_tests_did():
    first, *_ = (row for row in MATRIX if len(row.tests) == 2)
    one, two = first.tests

    def state(**seen):
        outcomes = {one: seen.get("one", set()), two: seen.get("two", set())}
        return next(row["state"] for row in rows(outcomes, []) if row["row"] == first.id)

    assert state() == "not run"
    assert state(one={"passed"}) == "partly run"
    assert state(one={"passed"}, two={"passed"}) == "pass"
    assert state(one={"passed"}, two={"skipped"}) == "partly run"
    assert state(one={"passed"}, two={"passed", "failed"}) == "fail"
