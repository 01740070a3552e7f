"""Spans of this process, kept in memory: OpenTelemetry takes one provider in the life of a process."""

import functools

from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.contrib.opentelemetry import OpenTelemetryInterceptor, create_tracer_provider

from kitsune.tracing.spans import Spans

INTERCEPTORS = [OpenTelemetryInterceptor(), Spans()]


def exported_spans():
    """Return what holds the spans that end from now on."""
    exporter = _exporter()
    exporter.clear()
    return exporter


@functools.cache
def _exporter():
    exporter = InMemorySpanExporter()
    provider = create_tracer_provider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter
