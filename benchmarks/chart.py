"""A bar chart as SVG: one bar per system, its median and its spread."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

Bar = tuple[str, float, float, float]

_WIDTH, _LABEL, _ROOM, _ROW = 760, 190, 90, 26
_COLOURS = {"kitsune": "#d9622b", "floor": "#8a8f98"}
_PEER = "#3f6fa8"


def chart(title: str, bars: Sequence[Bar]) -> str:
    """Draw bars of (name, median, least, most), in seconds."""
    longest = max(most for *_, most in bars)
    scale = (_WIDTH - _LABEL - _ROOM) / longest
    height = 44 + _ROW * len(bars)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}"',
        f'  role="img" aria-label="{escape(title)}" font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="22" font-weight="600" fill="#1c1f23">{escape(title)}</text>',
    ]
    for row, (name, median, least, most) in enumerate(bars):
        y = 36 + _ROW * row
        end = _LABEL + median * scale
        colour = _COLOURS.get(name.partition("-")[0], _PEER)
        lines += [
            f'<text x="{_LABEL - 8}" y="{y + 14}" text-anchor="end" fill="#1c1f23">{escape(name)}</text>',
            f'<rect x="{_LABEL}" y="{y + 2}" width="{max(median * scale, 1):.1f}" height="16" rx="2" fill="{colour}"/>',
            f'<line x1="{_LABEL + least * scale:.1f}" x2="{_LABEL + most * scale:.1f}" y1="{y + 10}" y2="{y + 10}" stroke="#1c1f23"/>',
            f'<text x="{max(end, _LABEL + most * scale) + 6:.1f}" y="{y + 14}" fill="#1c1f23">{median:.2f} s</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def write_chart(path: Path, title: str, bars: Sequence[Bar]) -> None:
    """Write the chart."""
    path.write_text(chart(title, bars))
