"""Whether traces are wanted; imports nothing of OpenTelemetry, which is an extra."""

from collections.abc import Mapping
from importlib.util import find_spec

from kitsune.errors import BadSetting

_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
_PROTOCOL = "http/protobuf"


def traces_wanted(environ: Mapping[str, str]) -> bool:
    """Return whether the environment asks for traces, as OpenTelemetry's specification reads it.

    They are wanted where an endpoint is named, or `OTEL_TRACES_EXPORTER=otlp`: our processes send nothing to an
    endpoint that nobody has named.

    Raises:
        BadSetting: It asks for what we do not speak, or the extra is not installed.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    endpoint = _first(environ, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    if exporter == "none" or not (exporter or endpoint):
        return False
    if exporter not in ("", "otlp"):
        raise BadSetting(
            f"no traces: OTEL_TRACES_EXPORTER={exporter!r} is not known (otlp or none)"
        )
    protocol = _first(environ, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in ("", _PROTOCOL):
        raise BadSetting(f"no traces: protocol {protocol!r} is not spoken, only {_PROTOCOL}")
    if not all(_is_installed(module) for module in _NEEDED):
        raise BadSetting(
            "no traces: OTEL_* asks for them, but the extra 'otel' is not installed: "
            "pip install 'kitsune-orchestrator[otel]'"
        )
    return True


def _first(environ: Mapping[str, str], *variables: str) -> str:
    return next((text for name in variables if (text := environ.get(name, "").strip())), "")


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it
        return False
