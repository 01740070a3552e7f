"""Writes the figures of `kitsune.metrics` through a meter of Temporal's SDK, so that workers need no other library."""

import itertools
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, cast

from temporalio.common import (
    MetricCounter,
    MetricGaugeFloat,
    MetricHistogramTimedelta,
    MetricMeter,
)

from kitsune.metrics import Metric

_UNITS = {"": None, "seconds": "s", "bytes": "bytes"}


class Measures:
    """Writes figures; each has exactly the labels that it is declared with."""

    def __init__(self, meter: MetricMeter = MetricMeter.noop) -> None:
        """Take a meter: a runtime's, an activity's or a workflow's, which is silent during a replay."""
        self._meter = meter
        self._instruments: dict[str, Any] = {}

    def count(self, metric: Metric, by: int = 1, **labels: str) -> None:
        """Add to a counter."""
        counter = cast("MetricCounter", self._instrument(metric))
        counter.add(by, _checked(metric, labels))

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Set a gauge."""
        gauge = cast("MetricGaugeFloat", self._instrument(metric))
        gauge.set(value, _checked(metric, labels))

    def record(self, metric: Metric, value: timedelta, **labels: str) -> None:
        """Add to a histogram of durations."""
        histogram = cast("MetricHistogramTimedelta", self._instrument(metric))
        histogram.record(value, _checked(metric, labels))

    def labelled(self, labels: Mapping[str, str]) -> "Measures":
        """Return the same with further labels on every figure."""
        return Measures(self._meter.with_additional_attributes(labels))

    def begin_at_zero(self, *metrics: Metric, **known: Collection[str]) -> None:
        """Let counters exist before anything happens: Prometheus does not see a series rise that was not there.

        Args:
            metrics: The counters.
            known: Values of those labels of which the declaration knows none.
        """
        for metric in metrics:
            given = (known.get(label, values) for label, values in metric.labels.items())
            for values in itertools.product(*given):
                self.count(metric, 0, **dict(zip(metric.labels, values, strict=True)))

    def _instrument(self, metric: Metric) -> Any:
        if metric.name not in self._instruments:
            create = {
                "counter": self._meter.create_counter,
                "gauge": self._meter.create_gauge_float,
                "histogram": self._meter.create_histogram_timedelta,
            }[metric.kind]
            # The exporter adds what kind and unit add to a name, but for gauges no unit.
            gauge = metric.kind == "gauge"
            name, unit = (metric.name, None) if gauge else (metric.base, _UNITS[metric.unit])
            self._instruments[metric.name] = create(name, metric.text, unit)
        return self._instruments[metric.name]


def _checked(metric: Metric, labels: dict[str, str]) -> dict[str, str]:
    if labels.keys() != metric.labels.keys():
        raise ValueError(f"{metric.name} has the labels {sorted(metric.labels)}, not {labels!r}")
    return labels
