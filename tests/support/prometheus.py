"""Reads figures as Prometheus does."""

import re
import urllib.request

_LINE = re.compile(r"(?P<name>[a-z_:]+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)")


def read_figures(address):
    """Return `{(name, (("label", "value"), ...)): value}` of `http://ADDRESS/metrics`, labels sorted."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return figures_of(answer.read().decode())


def figures_of(text):
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            match = _LINE.fullmatch(line)
            assert match, line
            labels = re.findall(r'(\w+)="([^"]*)"', match["labels"] or "")
            found[match["name"], tuple(sorted(labels))] = float(match["value"])
    return found


def figure(figures, metric, **labels):
    """Return the sum of what has these labels, among others."""
    wanted = set(labels.items())
    return sum(
        value
        for (name, found), value in figures.items()
        if name == metric.name and wanted <= set(found)
    )
