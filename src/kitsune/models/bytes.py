"""Sizes in bytes as operators write and read them."""

import re

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_WRITTEN = re.compile(r"([0-9]+)\s*(B|KiB|MiB|GiB|TiB)?")
_STEP = 1024


def parse_bytes(text: str) -> int:
    """Return the bytes that a text means: `1073741824`, `512MiB`, `1 GiB`.

    Raises:
        ValueError: It is no size.
    """
    written = _WRITTEN.fullmatch(text.strip())
    if written is None:
        raise ValueError(f"not a size: {text!r} (write 512MiB, 1GiB or a number of bytes)")
    size: int = int(written[1]) * _STEP ** _UNITS.index(written[2] or "B")
    return size


def format_bytes(count: int) -> str:
    """Return a size for people: `512 B`, `1.5 KiB`, `64.0 MiB`."""
    size, at = float(count), 0
    while size >= _STEP and at < len(_UNITS) - 1:
        size, at = size / _STEP, at + 1
    return f"{count} B" if at == 0 else f"{size:.1f} {_UNITS[at]}"
