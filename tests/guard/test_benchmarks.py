"""The benchmarks and their page fit together, as far as that shows without running them."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from benchmarks.__main__ import PARTS, SYSTEMS, parse, run
from benchmarks.chart import chart
from benchmarks.history import read_story
from benchmarks.latency import _row
from benchmarks.rounds import order_of
from benchmarks.table import fill, milliseconds, number, quantile, table
from benchmarks.temporal_fleet import calls_of, polls_of
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs/performance.md"


@pytest.mark.parametrize("name", [*PARTS, *SYSTEMS])
def test_the_page_of_the_benchmarks_names_every_part_and_system(name):
    assert f"`{name}`" in (REPOSITORY / "benchmarks/README.md").read_text()


@pytest.mark.parametrize("name", [*PARTS, "targets", "costs", "chart", "rest"])
def test_the_page_of_figures_has_a_place_for_every_table(name, tmp_path):
    page = tmp_path / "performance.md"
    page.write_text(PAGE.read_text())
    fill(page, name, "| a table |")
    assert f"<!-- {name} -->\n| a table |\n<!-- /{name} -->" in page.read_text()
    assert page.read_text().count("| a table |") == 1


def test_a_table_without_a_place_is_refused(tmp_path):
    page = tmp_path / "performance.md"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="has no place <!-- systems -->"):
        fill(page, "systems", "")


def test_columns_line_up():
    lines = table(("name", "time"), [("a", "1.00 s"), ("longer", "10.0 s")]).splitlines()
    assert len({len(line) for line in lines}) == 1


def test_every_round_runs_every_system_and_begins_with_another():
    orders = [list(order_of(number, 3)) for number in range(3)]
    assert orders == [[0, 1, 2], [1, 2, 0], [2, 0, 1]]


def test_the_chart_is_xml_whatever_a_system_is_called():
    drawn = ET.fromstring(chart("a < b", [("kitsune", 1.0, 0.9, 1.2), ("x & y", 2, 2, 2)]))
    assert [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")][:2] == [
        "a < b",
        "kitsune",
    ]


def test_a_story_counts_workflow_tasks_and_knows_when_the_first_step_began():
    result = b'{"stepsExecuted": [{"startedAt": "2026-01-02T03:04:05Z"}, {"startedAt": "2026-01-02T03:04:06Z"}]}'
    end = HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED)
    end.workflow_execution_completed_event_attributes.result.payloads.add(data=result)
    task = HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    story = read_story([task, task, end])
    assert (story.events, story.tasks) == (3, 2)
    assert story.first_step == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "given",
    [
        *(["--systems", "chef"], ["--systems", ","], ["--servers", "0"], ["--parts", "all"]),
        *(["--record", "/no/where"], ["--sizes", "2,2"], ["--parts", "cli,cli"]),
    ],
)
def test_a_wrong_option_is_refused_before_anything_starts(given, capsys):
    with pytest.raises(SystemExit):
        parse(given)
    assert repr(given[1]) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["--systems", "kitsune"], "leave --systems at its default"),
        (["--servers", "5"], "leave --servers at its default"),
        (["--sizes", "10"], "leave --sizes at its default"),
        (["--rounds", "2"], "write --rounds 3 or more"),
    ],
)
def test_the_published_page_is_not_filled_from_less(given, why, capsys):
    with pytest.raises(SystemExit):
        parse(["--docs", *given])
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("share", "values", "expected"),
    [
        (0.99, range(1, 101), 99),
        (0.99, range(1, 201), 198),
        (0.5, range(1, 101), 50),
        (0.9, [7], 7),
    ],
)
def test_a_quantile_is_the_least_value_that_a_share_does_not_exceed(share, values, expected):
    assert quantile(list(values), share) == expected


def test_no_99th_percentile_is_told_of_few_samples():
    assert _row("few", [0.1] * 99)[3] == ""
    assert _row("many", [0.1] * 98 + [0.2, 0.3])[2:] == ("100 ms", "200 ms", "100 ms", "300 ms")


def test_calls_and_polls_are_counted_apart():
    requests = {
        "orchestrator": {"StartWorkflowExecution": 2, "PollWorkflowTaskQueue": 40},
        "agents": {"RespondActivityTaskCompleted": 3, "PollActivityTaskQueue": 50},
    }
    assert (calls_of(requests), polls_of(requests)) == (5, 90)


@pytest.mark.parametrize(
    ("text", "expected"), [(number(-0.04, 1), "0.0"), (milliseconds(-0.00001), "0.0 ms")]
)
def test_nothing_is_less_than_zero_for_being_rounded(text, expected):
    assert text == expected


def stand_in(monkeypatch, measure):
    """Let a part of the benchmark be something else, and return its options with a page to fill."""
    monkeypatch.setitem(PARTS, "cli", measure)
    return parse(["--parts", "cli", "--docs"])


async def test_a_part_of_which_something_failed_leaves_the_page_as_it_was(monkeypatch, tmp_path):
    async def half(options):
        options.record.fail("cli", RuntimeError("no such command"))
        return {"cli": "| half a table |"}

    async def whole(options):
        return {"cli": "| a table |"}

    page = tmp_path / "performance.md"
    page.write_text("<!-- cli -->\n<!-- /cli -->")
    before = page.read_text()
    options, parts = stand_in(monkeypatch, half)
    assert await run(replace(options, page=page, folder=tmp_path), parts) == ["cli"]
    assert page.read_text() == before
    options, parts = stand_in(monkeypatch, whole)
    assert await run(replace(options, page=page, folder=tmp_path), parts) == []
    assert "| a table |\n\n*20" in page.read_text()


async def test_one_measurement_that_fails_is_recorded_and_leaves_the_others(tmp_path):
    async def fail():
        raise TimeoutError

    options, _ = parse(["--record", str(tmp_path / "bench.jsonl")])
    assert await options.try_for("growth", fail(), system="kitsune", servers=5) == []
    [line] = (tmp_path / "bench.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert (entry["servers"], entry["error"]) == (5, "took too long")
    assert entry["options"]["rounds"] == 3
    assert options.record.failed("growth")


def test_peers_are_pinned_with_hashes():
    text = (REPOSITORY / "benchmarks/requirements.txt").read_text()
    pins = re.findall(
        r"^[a-z0-9.-]+==\S+.*(?:\n {4}--hash=sha256:[0-9a-f]{64}.*)+", text, re.MULTILINE
    )
    assert len(pins) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE))
    assert {"ansible-core", "pyinfra", "salt"} <= {pin.partition("==")[0] for pin in pins}
