"""Where spans go: in the background, to what the `OTEL_*` variables name."""

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio.client import (
    Interceptor,
    OutboundInterceptor,
    StartWorkflowInput,
    WorkflowHandle,
)
from temporalio.contrib.opentelemetry import (
    OpenTelemetryInterceptor,
    ReplaySafeTracerProvider,
    create_tracer_provider,
)

from kitsune.tracing.spans import Spans
from kitsune.version import __version__

#: How long the last spans may take when a process ends.
_LAST_WORDS = 3.0

logger = logging.getLogger("kitsune.worker")


@dataclass(frozen=True)
class Tracing:
    """Traces of this process.

    Attributes:
        interceptors: For the Temporal client; its workers take them over.
    """

    interceptors: tuple[Interceptor, ...]
    _provider: ReplaySafeTracerProvider

    def end(self) -> None:
        """Send what is left, for three seconds at most; a collector that is away holds nobody up."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(_LAST_WORDS)


def begin_tracing(service: str, *, instance: str) -> Tracing:
    """Send spans from now on; call it once in a process.

    Endpoint, headers, sampler, limits and resource come from the standard variables, which win over what is given.

    Args:
        service: How the process is called, as in `kitsune-local-worker`.
        instance: Which of them it is: the server's id, or the host's name.
    """
    provider = create_tracer_provider(
        resource=_resource(service, instance, os.environ), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(_Telling(OTLPSpanExporter())))
    trace.set_tracer_provider(provider)
    return Tracing((OpenTelemetryInterceptor(), Spans()), provider)


class _Telling(SpanExporter):
    """Says once that spans cannot be sent, and once that they can again; the exporter itself says it for every batch."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._arrive = True
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        arrive = result is SpanExportResult.SUCCESS
        if arrive != self._arrive:
            self._arrive = arrive
            if arrive:
                logger.info("traces arrive again")
            else:
                logger.warning("traces cannot be sent, and are lost until their collector answers")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def carry_context(environ: Mapping[str, str]) -> tuple[Interceptor, ...]:
    """Let rollouts that a client starts belong to the trace of `TRACEPARENT`, such as a pipeline's run."""
    carrier = {
        name: environ[name.upper()]
        for name in ("traceparent", "tracestate")
        if environ.get(name.upper())
    }
    parent = TraceContextTextMapPropagator().extract(carrier)
    return (_Parent(parent), OpenTelemetryInterceptor())


class _Parent(Interceptor):
    """Starts workflows within a context from outside."""

    def __init__(self, parent: context.Context) -> None:
        self._parent = parent

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - the SDK's name
        return _ParentOutbound(next, self._parent)


class _ParentOutbound(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, parent: context.Context) -> None:  # noqa: A002 - the SDK's name
        super().__init__(next)
        self._parent = parent

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:  # noqa: A002 - the SDK's name
        token = context.attach(self._parent)
        try:
            return await super().start_workflow(input)
        finally:
            context.detach(token)


def _resource(service: str, instance: str, environ: Mapping[str, str]) -> Resource:
    named = environ.get("OTEL_SERVICE_NAME") or "service.name=" in environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    ours = {"service.version": __version__, "service.instance.id": instance}
    return Resource.create(ours if named else {"service.name": service, **ours})
