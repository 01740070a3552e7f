"""What a worker's process tells: core's logs come through ours, Temporal hears that we live, Prometheus reads figures."""

import ipaddress
import logging
import os
import re
from datetime import timedelta

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from kitsune import metrics
from kitsune.errors import BadSetting
from kitsune.measures import Measures
from kitsune.names import ENV_METRICS_ADDRESS
from kitsune.version import __version__

#: How often a worker tells Temporal that it lives; `kitsune servers` shows it.
_WORKER_HEARTBEAT = timedelta(seconds=30)
#: Core warns of every rollout that ends while its servers are still being watched: that is how it should be.
_EXPECTED = "Activity not found on completion"
_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[0-9.]+|localhost):(?P<port>[0-9]{1,5})")
_OS_ERROR = re.compile(r"\(os error ([0-9]+)\)")
_HIGHEST_PORT = 65535


def make_runtime(metrics_address: str | None = None) -> Runtime:
    """Return the runtime that a worker's process shares between its connections.

    Args:
        metrics_address: `IP:PORT` where Prometheus may read `/metrics`; None for nowhere.

    Raises:
        BadSetting: That is no such address, or nobody can listen there.
    """
    logger = logging.getLogger("temporalio.core")
    logger.addFilter(lambda record: _EXPECTED not in record.getMessage())
    try:
        return Runtime(
            telemetry=TelemetryConfig(
                logging=LoggingConfig(
                    filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
                    forwarding=LogForwardingConfig(logger=logger),
                ),
                metrics=_prometheus(metrics_address) if metrics_address else None,
                attach_service_name=False,  # the same word on every series
            ),
            worker_heartbeat_interval=_WORKER_HEARTBEAT,
        )
    except ValueError as error:  # what core says of an address
        raise BadSetting(
            f"cannot serve metrics on {metrics_address!r}: {_reason(str(error))}; "
            f"choose another --metrics-address (or {ENV_METRICS_ADDRESS})"
        ) from error


def measures_of(runtime: Runtime) -> Measures:
    """Return what writes figures to a runtime's `/metrics`; nothing where it has none."""
    measures = Measures(runtime.metric_meter)
    measures.set(metrics.BUILD_INFO, 1, version=__version__)
    measures.set(metrics.TEMPORAL_REACHABLE, 0)
    return measures


def _prometheus(address: str) -> PrometheusConfig:
    return PrometheusConfig(
        bind_address=_checked(address),
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides={
            metric.base: metric.buckets for metric in metrics.METRICS if metric.buckets
        },
    )


def _checked(address: str) -> str:
    """Return an address as core takes it: it resolves no names.

    Raises:
        BadSetting: It is no IP address with a port.
    """
    found = _ADDRESS.fullmatch(address)
    try:
        if found is None or not 0 < int(found["port"]) <= _HIGHEST_PORT:
            raise ValueError(address)  # noqa: TRY301 - told like an IP address that is none
        host = "127.0.0.1" if found["host"] == "localhost" else found["host"]
        ipaddress.ip_address(host.strip("[]"))
    except ValueError as error:
        raise BadSetting(
            f"not an address to serve metrics on: {address!r} (write IP:PORT, as in 127.0.0.1:9464 or "
            f"[::]:9464, for --metrics-address or {ENV_METRICS_ADDRESS})"
        ) from error
    return f"{host}:{found['port']}"


def _reason(text: str) -> str:
    number = _OS_ERROR.search(text)
    return os.strerror(int(number[1])).lower() if number else text
