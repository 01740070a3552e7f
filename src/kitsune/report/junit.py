"""A report as JUnit XML, which every CI system shows: a suite for each server, a case for each step."""

from datetime import datetime
from xml.etree import ElementTree as ET

from kitsune.models.results import StepOutcome
from kitsune.report.record import Record, ServerRecord
from kitsune.report.words import clean, last_output, word

_NOT_RUN = frozenset({"notStarted", "skipped", "pending", "waiting", "waitingForAgent"})


def as_junit(record: Record) -> str:
    """Return the report."""
    suites = [_suite(server, record) for server in record.servers]
    counts = {
        name: str(sum(int(suite.get(name, "0")) for suite in suites))
        for name in ("tests", "failures", "errors", "skipped")
    }
    whole = {
        "name": clean(record.rollout_id),
        "time": _seconds(record.started_at, record.ended_at),
        **counts,
    }
    root = ET.Element("testsuites", whole)
    root.extend(suites)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(server: ServerRecord, record: Record) -> ET.Element:
    cases = [_case(server, step) for step in server.steps]
    planned = [step.name for step in record.plan.steps] if record.plan else []
    if server.steps or server.state in _NOT_RUN:
        for name in planned[len(server.steps) :]:
            case = ET.Element("testcase", classname=clean(server.server_id), name=clean(name))
            ET.SubElement(case, "skipped", message="not run")
            cases.append(case)
    broken = any(not step.success for step in server.steps)
    if not cases or (server.state not in ("succeeded", *_NOT_RUN) and not broken):
        cases.append(_whole(server))
    suite = ET.Element(
        "testsuite",
        name=clean(server.server_id),
        tests=str(len(cases)),
        failures=_count(cases, "failure"),
        errors=_count(cases, "error"),
        skipped=_count(cases, "skipped"),
        time=_seconds(server.started_at, server.ended_at),
    )
    if server.started_at:
        suite.set("timestamp", server.started_at.isoformat(timespec="seconds"))
    suite.extend(cases)
    return suite


def _case(server: ServerRecord, step: StepOutcome) -> ET.Element:
    case = ET.Element(
        "testcase",
        classname=clean(server.server_id),
        name=clean(step.name),
        time=_seconds(step.started_at, step.ended_at),
    )
    if not step.success:
        error = clean(step.error or step.status)
        failure = ET.SubElement(case, "failure", type=step.status, message=error.split("\n")[0])
        failure.text = error
        for stream, text in last_output(step, lines=200):
            ET.SubElement(case, "system-out" if stream == "stdout" else "system-err").text = text
    return case


def _whole(server: ServerRecord) -> ET.Element:
    """Return a case for a server of which no step tells how it went."""
    case = ET.Element("testcase", classname=clean(server.server_id), name="server")
    if server.state in _NOT_RUN:
        ET.SubElement(case, "skipped", message=word(server.state))
    elif server.state != "succeeded":
        error = clean(server.error or word(server.state))
        ET.SubElement(case, "error", type=server.state, message=error.split("\n")[0]).text = error
    return case


def _count(cases: list[ET.Element], tag: str) -> str:
    return str(sum(case.find(tag) is not None for case in cases))


def _seconds(started_at: datetime | None, ended_at: datetime | None) -> str:
    if started_at is None or ended_at is None:
        return "0"
    return f"{max(0.0, (ended_at - started_at).total_seconds()):.3f}"
