"""When traces are wanted: as OpenTelemetry's specification reads the environment, and nothing else."""

import importlib.util
import subprocess
import sys

import pytest

from kitsune.errors import BadSetting
from kitsune.tracing import settings
from kitsune.tracing.settings import traces_wanted

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", **ENDPOINT}, False),
        ({"OTEL_SDK_DISABLED": "TRUE", **ENDPOINT}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", **ENDPOINT}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
    ],
)
def test_the_standard_variables_decide(environ, wanted):
    assert traces_wanted(environ) is wanted


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "jaeger"}, "OTEL_TRACES_EXPORTER='jaeger' is not known"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", **ENDPOINT}, "protocol 'grpc' is not spoken"),
    ],
)
def test_what_we_do_not_speak_is_named(environ, said):
    with pytest.raises(BadSetting, match=said):
        traces_wanted(environ)


@pytest.mark.parametrize("missing", ["opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"])
def test_a_missing_extra_is_named(monkeypatch, missing):
    real = importlib.util.find_spec
    monkeypatch.setattr(settings, "find_spec", lambda name: None if name == missing else real(name))
    with pytest.raises(BadSetting) as refused:
        traces_wanted(ENDPOINT)
    assert str(refused.value) == (
        "no traces: OTEL_* asks for them, but the extra 'otel' is not installed: "
        "pip install 'kitsune-orchestrator[otel]'"
    )


def test_without_traces_nothing_of_opentelemetry_is_imported():
    code = (
        "import sys\n"
        "import kitsune.cli.workers, kitsune.workers.local, kitsune.workers.orchestration\n"
        "import kitsune.workers.telemetry, kitsune.service.connection\n"
        "from kitsune.cli.workers import _begin_tracing\n"
        "assert _begin_tracing('x', instance='y') is None\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'httpx'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={}
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
