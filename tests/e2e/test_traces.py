"""Traces of real workers, sent to a real collector: one trace from the rollout to each step."""

import asyncio
import os
import subprocess

import pytest

from support.bench import connect
from support.collector import Collector
from support.replaying import replay
from support.small_fleet import KITSUNE, SmallFleet, lines_of, script, until

pytestmark = [pytest.mark.e2e, pytest.mark.server]

PIPELINE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def collector():
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def fleet(temporal_server, tmp_path_factory, collector):
    wanted = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.address,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    folder = tmp_path_factory.mktemp("fleet")
    fleet = SmallFleet(temporal_server.address, folder, "a", "b", environment=wanted)
    yield fleet
    fleet.close()


async def replay_stored(address, workflow_id):
    client = await connect(address)
    await replay(await client.get_workflow_handle(workflow_id).fetch_history())


def of_rollout(spans, rollout_id):
    return [span for span in spans if span.attributes.get("kitsune.rollout.id") == rollout_id]


def has_ended(rollout_id):
    """Each process sends for itself: the rollout's end may be there before a server's."""

    def holds(spans):
        told = [span.name for span in of_rollout(spans, rollout_id)]
        return told.count("rollout") == 1 and told.count("server") == 2

    return holds


def test_a_rollout_is_one_trace_down_to_its_steps_and_undos(fleet, collector, temporal_server):
    breaks = f'test "$KITSUNE_SERVER_ID" != {fleet.servers[1]} || {{ echo s3cr3t >&2; exit 7; }}'
    plan = fleet.plan(steps=[script("true", name="prepare"), script(breaks, name="deploy")])
    done = fleet.kitsune("run", plan, "--yes", "--id", "traced")
    assert done.returncode == 5, done.stderr
    spans = of_rollout(collector.wait_for_spans(has_ended("traced")), "traced")
    assert {span.trace for span in spans} == {spans[0].trace}
    by_id = {span.id: span for span in spans}
    (rollout,) = (span for span in spans if span.name == "rollout")
    assert rollout.parent == b""
    assert rollout.attributes["kitsune.plan.name"] == "e2e"
    assert rollout.attributes["kitsune.servers"] == 2
    assert rollout.attributes["kitsune.outcome"] == "stopped"
    assert rollout.failed
    servers = [span for span in spans if span.name == "server"]
    assert {span.attributes["kitsune.server.id"] for span in servers} == set(fleet.servers)
    assert {span.parent for span in servers} == {rollout.id}
    assert sorted(span.attributes["kitsune.outcome"] for span in servers) == ["failed", "succeeded"]
    bad = fleet.servers[1]
    told = sorted(
        (span.name, span.attributes["kitsune.outcome"])
        for span in spans
        if span.attributes.get("kitsune.server.id") == bad
        and span.name not in ("server", "preflight")
    )
    assert told == [
        ("step deploy", "failed"),
        ("step prepare", "succeeded"),
        ("undo deploy", "rolledBack"),
        ("undo prepare", "rolledBack"),
    ]
    steps = [span for span in spans if span.name.startswith(("step", "undo "))]
    assert {by_id[span.parent].name for span in steps} == {"server"}
    assert {span.attributes["kitsune.step.type"] for span in steps} == {"script"}
    assert {span.service for span in steps} == {"kitsune-local-worker"}
    assert rollout.service == "kitsune-orchestration-worker"
    assert not any(b"s3cr3t" in request.body for request in collector.received)
    # Whoever switches traces off in the middle of a rollout goes on with a history that has them.
    asyncio.run(replay_stored(temporal_server.address, "traced"))


def test_a_rollout_joins_the_trace_of_the_pipeline_that_starts_it(fleet, collector):
    done = subprocess.run(
        [*KITSUNE, "run", fleet.plan(steps=[script("true")]), "--yes", "--id", "piped"],
        env=fleet.environment | {"TRACEPARENT": PIPELINE},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    spans = of_rollout(collector.wait_for_spans(has_ended("piped")), "piped")
    (rollout,) = (span for span in spans if span.name == "rollout")
    _, trace, parent, _ = PIPELINE.split("-")
    assert (rollout.trace.hex(), rollout.parent.hex()) == (trace, parent)


def test_a_trace_goes_on_where_another_orchestration_worker_does(fleet, collector, tmp_path):
    gate, log = tmp_path / "gate", tmp_path / "log"
    os.mkfifo(gate)
    plan = fleet.plan(steps=[script(f"echo here >> {log}; read line < {gate}", name="wait")])
    running = fleet.begin("run", plan, "--yes", "--id", "moved")
    until(lambda: len(lines_of(log)) == 2)
    fleet.restart_orchestrator()
    writer = os.open(gate, os.O_RDWR)
    os.write(writer, b"go\n" * 2)
    running.communicate(timeout=60)
    os.close(writer)
    assert running.returncode == 0
    spans = of_rollout(collector.wait_for_spans(has_ended("moved")), "moved")
    (rollout,) = (span for span in spans if span.name == "rollout")
    servers = [span for span in spans if span.name == "server"]
    assert len(servers) == 2
    assert {(span.trace, span.parent) for span in servers} == {(rollout.trace, rollout.id)}
    assert rollout.start <= min(span.start for span in servers)
    assert rollout.attributes["kitsune.outcome"] == "succeeded"
