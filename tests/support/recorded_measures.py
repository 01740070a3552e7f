"""Figures kept in a dictionary."""

from kitsune.measures import Measures, _checked


class RecordedMeasures(Measures):
    """Keeps `{(metric, (label, value), ...): value}`, and checks labels like the real ones."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def count(self, metric, by=1, **labels):
        key = (metric, *sorted(_checked(metric, labels).items()))
        self.seen[key] = self.seen.get(key, 0) + by

    def set(self, metric, value, **labels):
        self.seen[(metric, *sorted(_checked(metric, labels).items()))] = value

    def record(self, metric, value, **labels):
        self.seen.setdefault((metric, *sorted(_checked(metric, labels).items())), []).append(value)

    def of(self, metric, **labels):
        return self.seen.get((metric, *sorted(labels.items())))
