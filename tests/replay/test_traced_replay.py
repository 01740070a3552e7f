"""Replays with traces on: they change no command, and tell nothing twice."""

from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.contrib.opentelemetry import OpenTelemetryInterceptor, create_tracer_provider

from kitsune.tracing.spans import Spans
from support.replaying import load_history, replay

HISTORIES = sorted((Path(__file__).parent / "histories" / "0.2.0").glob("*.json"))
#: One of each kind, and some that have not ended.
SOME = [
    path
    for path in HISTORIES
    if path.name.split(".")[0] in {"sharded", "stopped", "rolled-back", "gate-unfinished"}
]


@pytest.fixture(scope="module")
def exported():
    """OpenTelemetry takes one provider in the life of a process, this one here."""
    exporter = InMemorySpanExporter()
    provider = create_tracer_provider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.mark.parametrize("path", SOME, ids=lambda path: path.stem)
async def test_a_history_without_traces_replays_with_them(path, exported):
    await replay(load_history(path), interceptors=[OpenTelemetryInterceptor(), Spans()])
    assert exported.get_finished_spans() == ()


def test_there_is_something_to_replay():
    assert len(SOME) >= 5
