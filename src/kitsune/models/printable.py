"""Text from anywhere, made safe to print."""

import re

_LINE_BREAK = re.compile(r"\r\n|\n|\r")


def safe(text: str, *, lines: bool = False) -> str:
    r"""Return text with everything that a terminal might obey made visible, as in `\x1b[2J`.

    Escapes control characters (C0, C1, ESC, carriage return), bidirectional and other invisible
    marks, lone surrogates and unusual spaces.

    Args:
        text: Anything, from anywhere.
        lines: Keep line breaks, and show a tab as spaces; otherwise both are escaped too.
    """
    if text.isprintable():
        return text
    if lines:
        return "\n".join(safe(line.expandtabs(8)) for line in _LINE_BREAK.split(text))
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
