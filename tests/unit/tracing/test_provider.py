"""Where spans go: a collector that is away is said once, not for every batch."""

import logging

from opentelemetry.sdk.trace.export import SpanExportResult

from kitsune.tracing.provider import _resource, _Telling

ARRIVED, LOST = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


class Exporter:
    def __init__(self, *results):
        self.results = list(results)

    def export(self, spans):
        return self.results.pop(0)


def test_a_collector_that_goes_and_comes_is_said_once_each(caplog):
    caplog.set_level(logging.INFO)
    telling = _Telling(Exporter(ARRIVED, LOST, LOST, LOST, ARRIVED, ARRIVED))
    results = [telling.export([]) for _ in range(6)]
    assert results.count(LOST) == 3
    assert [record.getMessage() for record in caplog.records] == [
        "traces cannot be sent, and are lost until their collector answers",
        "traces arrive again",
    ]


def test_the_standard_variables_name_the_service_where_they_do(monkeypatch):
    plain = _resource("kitsune-local-worker", "web-1", {})
    assert plain.attributes["service.name"] == "kitsune-local-worker"
    assert plain.attributes["service.instance.id"] == "web-1"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    named = _resource("kitsune-local-worker", "web-1", {"OTEL_SERVICE_NAME": "mine"})
    assert named.attributes["service.name"] == "mine"
    monkeypatch.delenv("OTEL_SERVICE_NAME")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=theirs,team=web")
    given = _resource("x", "web-1", {"OTEL_RESOURCE_ATTRIBUTES": "service.name=theirs,team=web"})
    assert given.attributes["service.name"] == "theirs"
    assert given.attributes["team"] == "web"
