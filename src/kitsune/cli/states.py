"""How each state of a server looks: a glyph, a word and a colour, so that none stands for it alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.text import Text

from kitsune.cli.console import Glyphs


@dataclass(frozen=True)
class Look:
    """How a state is drawn.

    Attributes:
        glyph: The name of its sign in `Glyphs`.
        style: A colour that both light and dark terminals can show.
    """

    word: str
    glyph: str
    style: str


#: State -> its look, in the order in which states are listed.
LOOKS: Mapping[str, Look] = {
    "succeeded": Look("succeeded", "ok", "green"),
    "failed": Look("failed", "failed", "bold red"),
    "unreachable": Look("unreachable", "warning", "magenta"),
    "unknown": Look("unknown", "unknown", "magenta"),
    "cancelled": Look("cancelled", "warning", "yellow"),
    "skipped": Look("skipped", "arrow", "yellow"),
    "held": Look("held", "unknown", "bold yellow"),
    "rollbackPending": Look("rollback pending", "waiting", "yellow"),
    "rollingBack": Look("rolling back", "undone", "yellow"),
    "running": Look("running", "running", "cyan"),
    "waiting": Look("waiting", "waiting", "cyan"),
    "waitingForAgent": Look("waiting for agent", "waiting", "magenta"),
    "pending": Look("pending", "pending", "dim"),
    "notStarted": Look("not started", "pending", "dim"),
}
#: States in which something can still be read from the agent.
AT_WORK = ("running", "rollingBack")
#: States in which a server waits for something that is none of its own.
WAITING = ("waiting", "waitingForAgent", "rollbackPending")


def look_of(state: str) -> Look:
    """Return how a state looks; a state of a newer Kitsune is shown by its name."""
    return LOOKS.get(state) or Look(state, "unknown", "")


def in_order(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return states with servers in them, in the order in which they are listed."""
    order = list(LOOKS)
    present = [(state, count) for state, count in counts.items() if count]
    return sorted(
        present, key=lambda item: order.index(item[0]) if item[0] in LOOKS else len(order)
    )


def glyph_of(state: str, glyphs: Glyphs) -> str:
    """Return the sign of a state."""
    return str(getattr(glyphs, look_of(state).glyph))


def count_text(state: str, count: int, glyphs: Glyphs) -> Text:
    """Return `3 ✔ succeeded`."""
    look = look_of(state)
    return Text(f"{count} {glyph_of(state, glyphs)} {look.word}", style=look.style)
