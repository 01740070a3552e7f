"""The dashboard: pages and a JSON API over the facade of `kitsune.service`."""
