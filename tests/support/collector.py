"""A collector of traces: keeps the spans that it is sent over OTLP/HTTP."""

import gzip
from dataclasses import dataclass

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from support.receiver import Receiver


@dataclass(frozen=True)
class Seen:
    """One span; ids as bytes, `parent` is empty at the top of a trace."""

    name: str
    trace: bytes
    id: bytes
    parent: bytes
    attributes: dict
    service: str
    failed: bool
    start: int
    end: int


def spans_of(received):
    found = []
    for request in received:
        packed = request.headers.get("content-encoding") == "gzip"
        body = gzip.decompress(request.body) if packed else request.body
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _values(group.resource.attributes)["service.name"]
            spans = [span for scope in group.scope_spans for span in scope.spans]
            found += [_seen(span, service) for span in spans]
    return found


class Collector(Receiver):
    """Accepts everything."""

    def wait_for_spans(self, holds):
        """Wait until something is true of all spans so far, and return them."""
        return spans_of(self.wait_for(lambda received: holds(spans_of(received))))


def _seen(span, service):
    return Seen(
        name=span.name,
        trace=span.trace_id,
        id=span.span_id,
        parent=span.parent_span_id,
        attributes=_values(span.attributes),
        service=service,
        failed=span.status.code == span.status.STATUS_CODE_ERROR,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
    )


def _values(attributes):
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
