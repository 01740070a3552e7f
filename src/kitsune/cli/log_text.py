"""How the output of steps is written to stdout: escaped for people, with a line that says whose it is; or raw."""

import codecs
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.text import Text

from kitsune.cli.console import print_line, safe, stderr_console
from kitsune.models.bytes import format_bytes

if TYPE_CHECKING:
    from kitsune.service.tailing import Printed

#: `headers`: a line before each stream; `prefixes`: the server before each line; `plain`: neither.
Layout = Literal["headers", "prefixes", "plain"]
#: A line is written in parts beyond this, so that nothing waits for a line end that never comes.
_LONGEST_LINE = 16 * 1024
_STDERR_STYLE = "red"


class LogPrinter:
    """Writes pieces of output as lines; a line that is not ended yet waits for the rest."""

    def __init__(self, console: Console, layout: Layout) -> None:
        self._console, self._layout = console, layout
        self._open: dict[_Source, _Lines] = {}
        self._heads: _Source | None = None

    def write(self, printed: "Printed") -> None:
        """Write what has come."""
        source = _Source.of(printed)
        lines = self._open.setdefault(source, _Lines())
        if printed.skipped:
            self._lines(source, lines.rest())
            size = format_bytes(printed.skipped)
            self._lines(source, [f"[{size} are not here]"], style="dim")
        self._lines(source, lines.feed(printed.data))

    def finish(self) -> None:
        """Write the lines that were never ended."""
        for source, lines in self._open.items():
            self._lines(source, lines.rest())
        self._open.clear()

    def _lines(self, source: "_Source", lines: Iterable[str], style: str = "") -> None:
        """Write lines together: output may have millions, and each on its own takes its time."""
        shown = [safe(line) for line in lines]
        if not shown:
            return
        self._head(source)
        style = style or (_STDERR_STYLE if source.is_stderr else "")
        if self._layout == "prefixes":
            sign = "!" if source.is_stderr else "|"
            name = f"{safe(source.server_id)} {sign} "
            for line in shown:
                text = Text().append(name, style="cyan").append(line, style=style or "default")
                print_line(self._console, text)
        elif style and self._console.color_system:
            print_line(self._console, Text("\n".join(shown), style=style))
        else:
            self._console.file.write("\n".join(shown) + "\n")

    def _head(self, source: "_Source") -> None:
        if self._layout != "headers" or source == self._heads:
            return
        if self._heads is not None:
            print_line(self._console)
        self._heads = source
        print_line(self._console, Text(f"==> {safe(source.text)} <==", style="bold"))


@dataclass(frozen=True)
class _Source:
    """Whose output something is."""

    server_id: str
    step: str
    step_index: int | None
    phase: str
    stream: str

    @classmethod
    def of(cls, printed: "Printed") -> "_Source":
        return cls(
            printed.server_id, printed.step, printed.step_index, printed.phase, printed.stream
        )

    @property
    def is_stderr(self) -> bool:
        return self.stream == "stderr"

    @property
    def text(self) -> str:
        number = "" if self.step_index is None else f"{self.step_index + 1} "
        undo = "undo of " if self.phase == "rollback" else ""
        return f"{self.server_id}: {undo}step {number}{self.step}, {self.stream}"


class _Lines:
    """Makes lines of bytes that come in pieces; no character is cut in two."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""

    def feed(self, data: bytes) -> Iterator[str]:
        """Yield the lines that are whole by now."""
        self._text += self._decoder.decode(data)
        *whole, self._text = _split(self._text)
        yield from whole
        while len(self._text) > _LONGEST_LINE:
            yield self._text[:_LONGEST_LINE]
            self._text = self._text[_LONGEST_LINE:]

    def rest(self) -> Iterator[str]:
        """Yield what is left."""
        text = self._text + self._decoder.decode(b"", final=True)
        self._decoder.reset()
        self._text = ""
        if text:
            yield from _split(text.removesuffix("\r"))


def _split(text: str) -> list[str]:
    """Return the lines of a text; with tabs as spaces; the last one has not ended yet."""
    lines = text.split("\n")
    return [line.removesuffix("\r").expandtabs(8) for line in lines[:-1]] + lines[-1:]


class RawWriter:
    """Writes the bytes of one stream to stdout as they are."""

    def write(self, printed: "Printed") -> None:
        """Write what has come."""
        if printed.skipped:
            size = format_bytes(printed.skipped)
            print_line(stderr_console(), f"{size} are not here: the output is not whole")
        sys.stdout.flush()
        sys.stdout.buffer.write(printed.data)

    def finish(self) -> None:
        """Let everything out."""
        sys.stdout.buffer.flush()
