"""The one place that holds Kitsune's version."""

__version__ = "0.1.0"
