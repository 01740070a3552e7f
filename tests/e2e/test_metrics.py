"""Real workers with `--metrics-address`: what Prometheus reads after a rollout that went well and one that did not."""

import json
import subprocess

import pytest

from kitsune import metrics
from support.prometheus import figure, read_figures
from support.receiver import Receiver
from support.small_fleet import KITSUNE, SmallFleet, script, until

pytestmark = [pytest.mark.e2e, pytest.mark.server]


@pytest.fixture(scope="module")
def fleet(temporal_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet")
    with Receiver((404, {}, b"no such hook")) as receiver:
        path = folder / "webhooks.json"
        path.write_text(json.dumps({"webhooks": [{"name": "ops", "url": receiver.address}]}))
        wanted = {"KITSUNE_WEBHOOKS": str(path)}
        fleet = SmallFleet(
            temporal_server.address, folder, "a", "b", metrics=True, environment=wanted
        )
        yield fleet
        fleet.close()


@pytest.fixture(scope="module")
def rollouts(fleet):
    """One rollout that succeeds, and one that fails on its second server and is undone."""
    good = fleet.kitsune("run", fleet.plan(steps=[script("echo fine")]), "--yes")
    assert good.returncode == 0, good.stderr
    breaks = f'test "$KITSUNE_SERVER_ID" != {fleet.servers[1]}'
    bad = fleet.kitsune("run", fleet.plan(steps=[script(breaks)]), "--yes")
    assert bad.returncode == 5, bad.stderr


@pytest.mark.usefixtures("rollouts")
def test_a_local_worker_counts_its_steps(fleet):
    good, bad = (read_figures(fleet.metrics[name]) for name in fleet.servers)
    assert figure(good, metrics.STEPS, step_type="script", outcome="succeeded") == 2
    assert figure(bad, metrics.STEPS, step_type="script", outcome="failed") == 1
    assert figure(bad, metrics.UNDOS, step_type="script", outcome="rolledBack") == 1
    assert figure(bad, metrics.STEP_DELIVERIES, handled="begun") == 3
    assert bad["kitsune_step_duration_seconds_count", (("step_type", "script"),)] == 2


def test_a_local_worker_tells_of_its_disk(fleet):
    def told():
        figures = read_figures(fleet.metrics[fleet.servers[0]])
        return figures if figure(figures, metrics.DISK_SIZE) else None

    until(told)
    figures = told()
    assert 0 < figure(figures, metrics.DISK_FREE) <= figure(figures, metrics.DISK_SIZE)
    assert figure(figures, metrics.STATE_WRITABLE) == 1
    assert figure(figures, metrics.TEMPORAL_REACHABLE) == 1


@pytest.mark.usefixtures("rollouts")
def test_the_orchestration_worker_counts_rollouts_and_servers(fleet):
    figures = read_figures(fleet.metrics["orchestrator"])
    assert figure(figures, metrics.ROLLOUTS_STARTED) == 2
    assert figure(figures, metrics.ROLLOUTS_ENDED, status="succeeded") == 1
    assert figure(figures, metrics.ROLLOUTS_ENDED, status="stopped") == 1
    assert figure(figures, metrics.SERVERS_ENDED, status="succeeded") == 3
    assert figure(figures, metrics.SERVERS_ENDED, status="failed") == 1
    assert figure(figures, metrics.SERVERS_UNDONE, outcome="rolledBack") == 1


@pytest.mark.usefixtures("rollouts")
def test_messages_that_nobody_takes_are_counted(fleet):
    def given_up():
        figures = read_figures(fleet.metrics["orchestrator"])
        return figure(figures, metrics.WEBHOOKS, webhook="ops", outcome="givenUp") == 4

    until(given_up)  # a start and an end of each rollout


@pytest.mark.usefixtures("rollouts")
def test_every_figure_is_served_under_its_name_with_its_labels_and_names_no_server_or_rollout(
    fleet,
):
    known = {series: metric for metric in metrics.METRICS for series in metric.series}
    given_by_temporal = {"namespace", "task_queue", "workflow_type"}
    for process, address in fleet.metrics.items():
        ours = [key for key in read_figures(address) if key[0].startswith("kitsune_")]
        assert ours, process
        for name, labels in ours:
            found = dict(labels)
            expected = {*known[name].labels} | ({"le"} if name.endswith("_bucket") else set())
            assert found.keys() - given_by_temporal == expected, name
            assert not any(server in value for server in fleet.servers for value in found.values())


@pytest.mark.usefixtures("rollouts")
def test_the_figures_of_the_sdk_are_there_too(fleet):
    names = {name for address in fleet.metrics.values() for name, _ in read_figures(address)}
    assert {
        "temporal_num_pollers",
        "temporal_request_total",
        "temporal_worker_task_slots_available",
        "temporal_workflow_task_execution_latency_seconds_bucket",
    } <= names


@pytest.mark.parametrize(
    "command", [["orchestration-worker"], ["local-worker", "--server-id", "x"]]
)
def test_a_taken_address_is_one_clear_error(fleet, command, tmp_path):
    taken = fleet.metrics["orchestrator"]
    done = subprocess.run(
        [*KITSUNE, *command, "--metrics-address", taken],
        env=fleet.environment | {"KITSUNE_STATE_DIR": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    said, following = done.stderr.strip().splitlines()
    assert said == (
        f"kitsune: cannot serve metrics on '{taken}': address already in use; "
        "choose another --metrics-address (or KITSUNE_METRICS_ADDRESS)"
    )
    assert following.startswith("  next: ")
    assert not (tmp_path / "state").exists()
