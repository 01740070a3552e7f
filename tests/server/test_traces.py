"""Spans of workflows that are replayed for each of their tasks: told once, with the same ids all along."""

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from kitsune.workers import local, orchestration
from support.bench import Bench, plan_of
from support.exported_spans import INTERCEPTORS, exported_spans

pytestmark = pytest.mark.server


class Forgetful(Worker):
    """A worker that remembers no workflow between two of its tasks."""

    def __init__(self, *arguments, **options):
        options.pop("workflow_task_poller_behavior", None)  # without a cache it polls one queue
        super().__init__(*arguments, **options | {"max_cached_workflows": 0})


@pytest.fixture
def exporter():
    return exported_spans()


@pytest.fixture
async def bench(temporal_server, tmp_path, monkeypatch, exporter):
    for module in (local, orchestration):
        monkeypatch.setattr(module, "Worker", Forgetful)
    client = await Client.connect(
        temporal_server.address,
        data_converter=pydantic_data_converter,
        interceptors=INTERCEPTORS,
    )
    bench = Bench(client, tmp_path)
    await bench.start_orchestrator()
    yield bench
    await bench.close()


async def test_replays_tell_each_span_once_and_keep_their_tree(bench, exporter, caplog):
    await bench.start_servers("a", "b")
    await bench.run(plan_of("ab", {"type": "Sequential"}, fail="b"))
    spans = exporter.get_finished_spans()
    told = sorted((span.name, span.attributes["kitsune.outcome"]) for span in spans)
    assert told == [
        ("preflight", "answered"),
        ("preflight", "answered"),
        ("rollout", "stopped"),
        ("server", "failed"),
        ("server", "succeeded"),
        ("step one", "succeeded"),
        ("step one", "succeeded"),
        ("step two", "failed"),
        ("step two", "succeeded"),
        ("undo one", "rolledBack"),
        ("undo two", "rolledBack"),
        ("validate plan", "answered"),
    ]
    names = {span.context.span_id: span.name for span in spans}
    assert len(names) == len(spans)
    assert {span.context.trace_id for span in spans} == {spans[0].context.trace_id}
    parents = {span.name: names.get(span.parent.span_id) for span in spans if span.parent}
    assert parents.keys() == set(names.values()) - {"rollout"}
    assert {parents["server"], parents["preflight"], parents["validate plan"]} == {"rollout"}
    assert {parents["step one"], parents["step two"], parents["undo one"]} == {"server"}
    assert "detach" not in caplog.text
