"""The Grafana dashboard and the alert rules ask for figures that exist, and the alerts fire when they should."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import temporalio.bridge
import yaml

from kitsune import metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yaml"
GRAFANA = DEPLOY / "grafana" / "kitsune.json"
NAME = re.compile(r"\b(?:kitsune|temporal)_[a-z_]+")
LABELS = re.compile(r"(kitsune_[a-z_]+)\{([^}]*)\}")

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool (Debian's package prometheus) is not installed"
)

#: Alert -> labels that it carries, the series that raise it (a value a minute), and the minute by which they have.
FIRING = {
    "KitsuneRollbackFailed": (
        {}, {'kitsune_servers_undone_total{outcome="pending"}': "0x60 1x60"}, 70,
    ),
    "KitsuneRolloutStopped": (
        {}, {'kitsune_rollouts_ended_total{status="stopped"}': "0x60 1x60"}, 70,
    ),
    "KitsuneServersUnreachable": (
        {}, {'kitsune_servers_ended_total{status="unknown"}': "0x60 1x60"}, 70,
    ),
    "KitsuneGateWaits": ({}, {"kitsune_gates_waiting": "1x120"}, 61),
    "KitsuneServersHeld": ({}, {"kitsune_servers_held": "2x120"}, 16),
    "KitsuneRolloutPaused": ({}, {"kitsune_rollouts_paused": "1x300"}, 241),
    "KitsuneWebhookGivenUp": (
        {"webhook": "ops"},
        {'kitsune_webhooks_total{webhook="ops",outcome="givenUp"}': "0x60 1x60"},
        70,
    ),
    "KitsuneNoOrchestrationWorker": ({}, {}, 6),
    "KitsuneTemporalUnreachable": (
        {"instance": "a"}, {'kitsune_temporal_reachable{instance="a"}': "0x60"}, 3,
    ),
    "KitsuneStateNotWritable": (
        {"instance": "a"}, {'kitsune_state_writable{instance="a"}': "0x60"}, 3,
    ),
    "KitsuneStateDiskFillsUp": (
        {"instance": "a"},
        {
            'kitsune_state_disk_free_bytes{instance="a"}': "4x60",
            'kitsune_state_disk_size_bytes{instance="a"}': "100x60",
        },
        11,
    ),
    "KitsuneExecutionsInterrupted": (
        {"instance": "a"}, {'kitsune_executions_interrupted_total{instance="a"}': "0+1x60"}, 59,
    ),
    "KitsuneWorkflowTasksFail": (
        {"instance": "o"},
        {'temporal_workflow_task_execution_failed_total{instance="o"}': "0+1x60"},
        30,
    ),
    "KitsunePollLimit": (
        {},
        {'temporal_long_request_failure_total{status_code="RESOURCE_EXHAUSTED"}': "0+1x60"},
        30,
    ),
    "KitsuneManyVersions": (
        {}, {f'kitsune_build_info{{version="{number}"}}': "1x1500" for number in "123"}, 1441,
    ),
}  # fmt: skip
#: A fleet that is well, and busy.
WELL = {
    "kitsune_rollouts_active": "1x300",
    'kitsune_build_info{version="1"}': "1x300",
    'kitsune_rollouts_ended_total{status="succeeded"}': "0+1x300",
    'kitsune_rollouts_ended_total{status="stopped"}': "0x300",
    'kitsune_servers_ended_total{status="succeeded"}': "0+9x300",
    'kitsune_servers_ended_total{status="unknown"}': "0x300",
    'kitsune_servers_undone_total{outcome="rolledBack"}': "0+1x300",
    'kitsune_servers_undone_total{outcome="failed"}': "0x300",
    "kitsune_gates_waiting": "0x300",
    "kitsune_servers_held": "0x300",
    "kitsune_rollouts_paused": "0x300",
    'kitsune_webhooks_total{webhook="ops",outcome="accepted"}': "0+1x300",
    'kitsune_temporal_reachable{instance="a"}': "1x300",
    'kitsune_state_writable{instance="a"}': "1x300",
    'kitsune_state_disk_free_bytes{instance="a"}': "50x300",
    'kitsune_state_disk_size_bytes{instance="a"}': "100x300",
    'kitsune_executions_interrupted_total{instance="a"}': "0x30 1x270",
    'temporal_workflow_task_execution_failed_total{instance="o"}': "0x300",
    'temporal_long_request_failure_total{status_code="UNAVAILABLE"}': "0+1x300",
}


def rules():
    return [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]


def panels():
    return [panel for panel in json.loads(GRAFANA.read_text())["panels"] if panel["type"] != "row"]


def expressions():
    yield from ((rule["alert"], rule["expr"]) for rule in rules())
    for panel in panels():
        yield from ((panel["title"], target["expr"]) for target in panel["targets"])


@pytest.fixture(scope="module")
def core():
    """The SDK's compiled core: the names of its own figures stand in it."""
    (library,) = Path(temporalio.bridge.__file__).parent.glob("*.so")
    return library.read_bytes()


def stem(name):
    """Return a figure of the SDK as it is named in the code: without prefix, unit and kind."""
    bare = name.removeprefix("temporal_")
    return re.sub(r"(_seconds)?_(bucket|sum|count|total)$", "", bare)


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_figure_that_is_asked_for_exists(where, expression, core):
    ours = {series for metric in metrics.METRICS for series in metric.series}
    names = NAME.findall(expression)
    assert names
    for name in names:
        known = name in ours if name.startswith("kitsune") else stem(name).encode() in core
        assert known, f"{where} asks for {name}"


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_label_that_is_asked_for_exists_with_that_value(where, expression):
    by_series = {series: metric for metric in metrics.METRICS for series in metric.series}
    for name, asked in LABELS.findall(expression):
        for label, value in re.findall(r'(\w+)=~?"([^"]*)"', asked):
            if label == "instance":
                continue
            known = by_series[name].labels
            assert label in known, f"{where}: {name} has no label {label}"
            assert not known[label] or set(value.split("|")) <= set(known[label]), (where, value)


def test_every_figure_of_ours_is_on_the_dashboard_or_in_an_alert():
    asked = {name for _, expression in expressions() for name in NAME.findall(expression)}
    of_the_pages = {"kitsune_dashboard_watchers"}
    for metric in metrics.METRICS:
        assert asked & set(metric.series) or metric.name in of_the_pages, metric.name


def test_every_alert_says_what_it_is_and_what_to_do():
    for rule in rules():
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert rule["annotations"].keys() == {"summary", "description"}


def test_panels_do_not_overlap_and_read_the_chosen_data_source():
    taken = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["datasource"]["uid"] == "${datasource}"


@needs_promtool
def test_prometheus_takes_the_rules():
    done = promtool("check", "rules", RULES)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_each_alert_fires_when_it_should_and_none_while_all_is_well(tmp_path):
    assert FIRING.keys() == {rule["alert"] for rule in rules()}
    tests = [case(WELL, [expected(rule, minute=290, fires=False) for rule in rules()])]
    for rule in rules():
        _, series, minute = FIRING[rule["alert"]]
        tests.append(case(series, [expected(rule, minute=minute, fires=True)]))
    file = tmp_path / "tests.yaml"
    whole = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    file.write_text(yaml.safe_dump(whole))
    done = promtool("test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_prometheus_understands_the_dashboards_questions(panel, tmp_path):
    found = [{"record": f"x:{n}", "expr": ask(each)} for n, each in enumerate(panel["targets"])]
    file = tmp_path / "panel.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panel", "rules": found}]}))
    done = promtool("check", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def ask(target):
    return target["expr"].replace("$__rate_interval", "5m").replace("$__range", "1h")


def case(series, alerts):
    given = [{"series": name, "values": values} for name, values in series.items()]
    return {"interval": "1m", "input_series": given, "alert_rule_test": alerts}


def expected(rule, *, minute, fires):
    labels, _, _ = FIRING[rule["alert"]]
    texts = {
        key: re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], text)
        for key, text in rule["annotations"].items()
    }
    alert = {"exp_labels": {**rule["labels"], **labels}, "exp_annotations": texts}
    return {
        "eval_time": f"{minute}m",
        "alertname": rule["alert"],
        "exp_alerts": [alert] if fires else [],
    }


def promtool(*arguments):
    return subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )
