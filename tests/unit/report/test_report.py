"""Every form of a report tells the same, and obeys nothing that a server has said."""

import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from kitsune.models.progress import Progress, ServerProgress
from kitsune.models.results import ServerResult
from kitsune.report.as_json import SCHEMA, as_json
from kitsune.report.html import as_html
from kitsune.report.junit import as_junit
from kitsune.report.markdown import as_markdown, bar_of
from kitsune.report.record import record_of_progress, record_of_result
from kitsune.report.timeline import MOST_SERVERS, timeline

FORMS = [as_markdown, as_html, as_junit, as_json]


def test_markdown_tells_it_all_in_the_order_of_interest(record):
    text = as_markdown(record)
    parts = ["# Rollout web-1", "| Outcome | stopped |"]
    parts += ["2 servers failed, 1 allowed", "## Failures", "## Orders", "| anna |", "## Servers"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "| a | succeeded | 1 | 2026-11-22 12:00:00 UTC | 10s |" in text
    assert "| b | failed, rolled back | 1 |" in text
    assert "| d | not started |" in text


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_no_report_holds_a_control_character_or_a_secret(record, form):
    text = form(record)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert "s3cret" not in text


def test_html_is_whole_and_needs_nothing_from_outside(record):
    text = as_html(record)
    assert "<script" not in text
    assert not re.search(r"(?:src|href|url|@import)\s*[=(]", text)
    assert "default-src 'none'" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    _check_nesting(text)


def _check_nesting(text):
    """Fail where tags are not closed in order."""

    class Nesting(HTMLParser):
        open = []

        def handle_starttag(self, tag, attrs):
            if tag != "meta":
                self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    parser = Nesting()
    parser.feed(text)
    assert parser.open == []


def test_a_code_block_cannot_be_left(record, evil):
    text = as_markdown(record)
    fence = re.search(r"^(`{4,})\nstep 'copy': exit code 3: (.*)\n\1$", text, re.MULTILINE)
    assert fence
    assert "```" in fence[2]


def test_junit_counts_every_step_of_the_plan_on_every_server(record):
    root = ET.fromstring(as_junit(record).partition("\n")[2])
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["a", "b", "c", "d"]
    found = {
        name: [(case.get("name"), [child.tag for child in case]) for case in suite]
        for name, suite in suites.items()
    }
    assert found == {
        "a": [("copy", []), ("restart | now", [])],
        "b": [("copy", ["failure", "system-err"]), ("restart | now", ["skipped"])],
        "c": [("server", ["error"])],
        "d": [("copy", ["skipped"]), ("restart | now", ["skipped"])],
    }
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "7", "failures": "1", "errors": "1", "skipped": "3",
    }  # fmt: skip
    assert root.get("time") == "20.000"


def test_json_has_a_version_and_every_server(record):
    told = json.loads(as_json(record))
    assert told["schema"] == SCHEMA == "kitsune.report/v1"
    assert [server["serverId"] for server in told["servers"]] == ["a", "b", "c", "d"]
    assert told["plan"]["steps"][0] == {"name": "copy", "type": "file_write", "required": True,
        "continueOnFailure": False}  # fmt: skip
    assert told["orders"][0]["actor"] == "anna"


def test_the_timeline_has_a_part_for_each_step(record):
    rows, omitted = timeline(record)
    assert omitted == 0
    assert [row.server.server_id for row in rows] == ["a", "b"]
    first, second = rows[0].segments
    assert (first.start, first.length, first.kind) == (0, 0.1, "step")
    assert (second.start, round(second.length, 2)) == (0.1, 0.4)
    assert rows[1].segments[0].kind == "failed"
    assert bar_of(rows[0], width=10) == "[█████     ]"
    assert bar_of(rows[1], width=10) == "[▒▒        ]"


def test_markdown_says_from_when_to_when_its_timeline_goes_and_what_its_signs_mean(record):
    told = as_markdown(record)
    assert "The timeline goes from 2" in told
    assert ": █ at work, ▒ a step or an undo that failed." in told


def test_html_says_what_its_timeline_means_and_needs_no_colour_for_it(record):
    text = as_html(record)
    legend = re.search(r'<p class="legend">(.*)</p>', text)[1]
    assert re.findall(r"</svg> ([a-z ]+)", legend) == ["at work ", "a step or an undo that failed"]

    def heights(kind):
        return set(re.findall(rf'<rect class="{kind}" [^>]*height="(\d+)"', text))

    assert (heights("step"), heights("failed")) == ({"6"}, {"14"})


def test_html_without_a_timeline_explains_none(plan, noon):
    early = record_of_progress(Progress(rollout_id="web-1", name="web"), plan, made_at=noon)
    assert 'class="legend"' not in as_html(early)


def test_a_rollout_that_goes_on_can_be_reported_too(plan, noon):
    servers = [
        ServerProgress(server_id="a", state="running", batch=0, started_at=noon),
        ServerProgress(server_id="b"),
    ]
    progress = Progress(rollout_id="web-1", name="web", started_at=noon, servers=servers)
    now = noon + timedelta(seconds=9)
    record = record_of_progress(progress, plan, made_at=now)
    assert record.headline == "goes on; this is so far"
    (row,), _ = timeline(record)
    assert (row.segments[0].start, row.segments[0].length) == (0, 1)
    for form in FORMS:
        assert "web-1" in form(record)


def test_of_a_large_rollout_every_server_is_counted_and_the_telling_ones_are_drawn(result, plan):
    servers = [f"s{number}" for number in range(3000)]
    listed = [
        ServerResult(
            server_id=server,
            success=number != 2999,
            status="succeeded" if number != 2999 else "failed",
            started_at=result.started_at,
            ended_at=result.ended_at,
        )
        for number, server in enumerate(servers)
    ]
    large = result.model_copy(update={"results": listed})
    record = record_of_result(
        large, plan.model_copy(update={"servers": servers}), made_at=result.ended_at
    )
    rows, omitted = timeline(record)
    assert (len(rows), omitted) == (MOST_SERVERS, 3000 - MOST_SERVERS)
    assert rows[-1].server.server_id == "s2999"
    assert "2000 more servers are counted above" in as_html(record)


def test_servers_that_a_large_result_only_counts_are_named_all_the_same(result, plan):
    few = result.model_copy(update={"results": result.results[1:], "results_omitted": 1})
    record = record_of_result(few, plan, made_at=result.ended_at)
    assert next((server.server_id, server.state) for server in record.servers) == ("a", "succeeded")
