"""What a worker's process tells: core's logs come through ours, and Temporal hears that we live."""

import logging
from datetime import timedelta

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

#: How often a worker tells Temporal that it lives; `kitsune servers` shows it.
_WORKER_HEARTBEAT = timedelta(seconds=30)
#: Core warns of every rollout that ends while its servers are still being watched: that is how it should be.
_EXPECTED = "Activity not found on completion"


def make_runtime() -> Runtime:
    """Return the runtime that a worker's process shares between its connections."""
    logger = logging.getLogger("temporalio.core")
    logger.addFilter(lambda record: _EXPECTED not in record.getMessage())
    return Runtime(
        telemetry=TelemetryConfig(
            logging=LoggingConfig(
                filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
                forwarding=LogForwardingConfig(logger=logger),
            )
        ),
        worker_heartbeat_interval=_WORKER_HEARTBEAT,
    )
