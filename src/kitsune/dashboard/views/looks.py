"""How each state looks on a page: a sign, a word and a tone, so that colour never stands alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from kitsune.models.progress import ServerProgress


@dataclass(frozen=True)
class Look:
    """How a state of a server is drawn.

    Attributes:
        code: One letter: the class of a cell, and how a stream of changes names the state.
        word: For people.
        glyph: Its sign; the style sheet draws the same one.
        tone: `ok`, `bad`, `away`, `warn`, `busy` or `idle`: which colour.
    """

    code: str
    word: str
    glyph: str
    tone: str


#: State -> its look, in the order in which states are listed.
LOOKS: Mapping[str, Look] = {
    "failed": Look("f", "failed", "✕", "bad"),
    "rollbackFailed": Look("z", "rollback failed", "‼", "bad"),
    "held": Look("h", "held", "?", "warn"),
    "unreachable": Look("u", "unreachable", "!", "away"),
    "unknown": Look("k", "unknown", "¿", "away"),
    "rollbackPending": Look("w", "rollback pending", "⧖", "warn"),
    "rollingBack": Look("b", "rolling back", "↶", "warn"),
    "cancelled": Look("c", "cancelled", "⊘", "warn"),
    "skipped": Look("j", "skipped", "»", "warn"),
    "running": Look("r", "running", "▸", "busy"),
    "waiting": Look("q", "waits for another rollout", "‖", "busy"),
    "waitingForAgent": Look("a", "waits for its agent", "…", "away"),
    "succeeded": Look("s", "succeeded", "✓", "ok"),
    "rolledBack": Look("y", "rolled back", "↩", "warn"),
    "pending": Look("p", "pending", "·", "idle"),
    "notStarted": Look("n", "not started", "\u2013", "idle"),
}
#: What a state of a newer Kitsune looks like.
STRANGE = Look("x", "", "◇", "idle")

#: States in which a server did not do what the plan wanted.
BROKEN = frozenset(
    {"failed", "rollbackFailed", "held", "unreachable", "unknown", "rollbackPending"}
)
#: The same, without those about whom a person has yet to decide.
FAILED = BROKEN - {"held"}

#: Rollout state -> word, tone. Others are shown by their name.
_ROLLOUTS: Mapping[str, tuple[str, str, str]] = {
    "starting": ("starting", "busy", "▸"),
    "validating": ("checking the plan", "busy", "▸"),
    "preflight": ("asking servers", "busy", "▸"),
    "running": ("running", "busy", "▸"),
    "soaking": ("soaking", "busy", "◷"),
    "waiting": ("waits", "busy", "◷"),
    "approval": ("waits for approval", "warn", "?"),
    "paused": ("paused", "warn", "‖"),
    "stopping": ("stopping", "bad", "▾"),
    "rollingBack": ("rolling back", "warn", "↶"),
    "done": ("done", "ok", "✓"),
    "succeeded": ("succeeded", "ok", "✓"),
    "failed": ("finished with failures", "bad", "✕"),
    "incomplete": ("incomplete", "away", "!"),
    "stopped": ("stopped", "bad", "■"),
    "aborted": ("aborted", "warn", "⊘"),
    "refused": ("refused", "bad", "✕"),
    "terminated": ("terminated in Temporal", "bad", "✕"),
    "canceled": ("cancelled in Temporal", "bad", "⊘"),
    "timedOut": ("timed out in Temporal", "bad", "✕"),
    "completed": ("completed", "idle", "✓"),
}

#: State of a worker -> word, tone, glyph.
_WORKERS: Mapping[str, tuple[str, str, str]] = {
    "online": ("online", "ok", "✓"),
    "silent": ("silent", "away", "!"),
    "stopping": ("stopping", "warn", "▾"),
    "stopped": ("stopped", "idle", "\u2013"),
    "offline": ("offline", "away", "!"),
}


@dataclass(frozen=True)
class Sign:
    """A state of a rollout or a worker, for a pill: word, tone, glyph."""

    word: str
    tone: str
    glyph: str


def look_of(state: str) -> Look:
    """Return how a server's state looks; a state of a newer Kitsune is shown by its name."""
    found = LOOKS.get(state)
    return found or Look(STRANGE.code, state, STRANGE.glyph, STRANGE.tone)


def shown_state(server: ServerProgress) -> str:
    """Return what a server's cell says: its state, unless its rollback says more."""
    if server.rollback_failed:
        return "rollbackFailed"
    if server.rollback_pending:
        return "rollbackPending"
    if server.rolled_back and server.state == "succeeded":
        return "rolledBack"
    return server.state


def in_order(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return states with servers in them, in the order in which they are listed."""
    order = {state: at for at, state in enumerate(LOOKS)}
    present = [(state, count) for state, count in counts.items() if count]
    return sorted(present, key=lambda item: order.get(item[0], len(order)))


def rollout_sign(state: str, *, paused: bool = False, gate: bool = False) -> Sign:
    """Return how a rollout's state looks; what waits for a person comes first."""
    if paused:
        state = "paused"
    elif gate:
        state = "approval"
    word, tone, glyph = _ROLLOUTS.get(state, (state, "idle", "◇"))
    return Sign(word, tone, glyph)


def worker_sign(state: str) -> Sign:
    """Return how a worker's state looks."""
    word, tone, glyph = _WORKERS.get(state, (state, "idle", "◇"))
    return Sign(word, tone, glyph)
