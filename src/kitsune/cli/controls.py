"""What keys mean in the live view: pure, from the key and what is shown to what is shown next and what is wished."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from kitsune.models.progress import Phase, Progress


class Wish(StrEnum):
    """What somebody at the keyboard wants to happen."""

    PAUSE = "pause"
    RESUME = "resume"
    APPROVE = "approve"
    ABORT = "abort"
    ABORT_AND_UNDO = "abort and undo"
    DETACH = "detach"


@dataclass(frozen=True)
class Ui:
    """How the live view is looked at.

    Attributes:
        failed_only: Failures take the whole screen.
        logs: The last lines of output of the servers at work are shown.
        help: The keys are explained.
        asking: An abort waits for its confirmation.
        message: What became of the last key; one line.
    """

    failed_only: bool = False
    logs: bool = False
    help: bool = False
    asking: bool = False
    message: str = ""


#: Key -> what it does, as the help lists it.
KEYS: Mapping[str, str] = {
    "p": "pause: nothing more starts, servers hold before their next step",
    "r": "resume after a pause",
    "a": "approve: open the gate that waits",
    "A": "abort: asks once, then cancels what runs",
    "l": "logs: the last lines of what the servers at work print",
    "f": "failed only",
    "q": "detach: the rollout goes on (Ctrl-C does the same)",
    "?": "these keys",
}
ASK_ABORT = "Abort? y: yes, leave servers as they are   u: yes, and undo   any other key: no"
_ESCAPE = "\x1b"
#: How a terminal begins what was pasted.
_PASTE = "\x1b[200~"
#: What a terminal sends for arrow keys and the like.
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?", re.DOTALL)
#: A slow line may deliver a few keys together; more were not typed.
_TYPED_AT_ONCE = 4


def keys_of(typed: str) -> list[str]:
    """Return the keys in what a terminal has sent at once: no arrow keys, and nothing of what looks pasted."""
    if typed == _ESCAPE:
        return [typed]
    if _PASTE in typed:
        return []
    keys = _SEQUENCE.sub("", typed)
    return list(keys) if len(keys) <= _TYPED_AT_ONCE else []


def press(key: str, ui: Ui, progress: Progress | None) -> tuple[Ui, Wish | None]:
    """Return how the view looks after a key, and what it asks for.

    Args:
        key: One character.
        ui: How the view looks now.
        progress: What is known of the rollout, which tells what makes sense.
    """
    if ui.asking:
        return _answer(key, replace(ui, asking=False))
    ui = replace(ui, message="")
    closes = key == _ESCAPE or (ui.help and key in " \r\n?")
    if closes or key in _TOGGLES:
        return replace(ui, help=False) if closes else _TOGGLES[key](ui), None
    ui = replace(ui, help=False)
    if key in "praA":
        return _order(key, ui, progress)
    if key == "q":
        return ui, Wish.DETACH
    return replace(ui, message="? shows the keys"), None


def hints(progress: Progress, ui: Ui, *, width: int) -> str:
    """Return the line that names the keys which make sense now, as many as fit."""
    orders = ["r resume"] if progress.paused else ["p pause"]
    if progress.gate:
        orders.insert(0, "a approve")
    parts = [
        *orders,
        "f all" if ui.failed_only else "f failed",
        "l less" if ui.logs else "l logs",
        "A abort",
        "q detach",
        "? help",
    ]
    while len(parts) > 2 and len("  ".join(parts)) > width:  # noqa: PLR2004 - detach and help stay
        del parts[-3]
    return "  ".join(parts)


_TOGGLES: Mapping[str, Callable[[Ui], Ui]] = {
    "f": lambda ui: replace(ui, failed_only=not ui.failed_only, logs=False, help=False),
    "l": lambda ui: replace(ui, logs=not ui.logs, failed_only=False, help=False),
    "?": lambda ui: replace(ui, help=True),
}


def _answer(key: str, ui: Ui) -> tuple[Ui, Wish | None]:
    wish = {"y": Wish.ABORT, "u": Wish.ABORT_AND_UNDO}.get(key)
    return replace(ui, message="" if wish else "not aborted"), wish


def _order(key: str, ui: Ui, progress: Progress | None) -> tuple[Ui, Wish | None]:
    """Return an order where it makes sense, else the reason why it does not."""
    if progress is not None and progress.phase is Phase.DONE:
        return replace(ui, message="it has ended"), None
    if key == "A":  # even where nobody answers: the order is on record then
        return replace(ui, asking=True), None
    if progress is None:
        return replace(ui, message="nothing is known of the rollout yet"), None
    wish, sense, why = {
        "p": (Wish.PAUSE, not progress.paused, "it is paused already: r resumes"),
        "r": (Wish.RESUME, progress.paused, "it is not paused"),
        "a": (Wish.APPROVE, progress.gate is not None, "no gate waits for approval"),
    }[key]
    return (ui, wish) if sense else (replace(ui, message=why), None)
