"""What a receiver gets: body, headers, signature."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from kitsune.models.notices import Notice, NoticeEvent
from kitsune.version import __version__
from kitsune.webhooks.settings import Receiver

SCHEMA = "kitsune.webhook/v1"
_LONGEST_TEXT = 600

_WORDS: Mapping[NoticeEvent, str] = {
    NoticeEvent.STARTED: "▶ *{id}* has started on {total} servers",
    NoticeEvent.SUCCEEDED: "✅ *{id}* succeeded",
    NoticeEvent.FAILED: "❌ *{id}* went to its end, and servers failed",
    NoticeEvent.INCOMPLETE: "⚠ *{id}* went to its end without some servers",
    NoticeEvent.STOPPED: "❌ *{id}* stopped: {reason}",
    NoticeEvent.ABORTED: "⏹ *{id}* was aborted: {reason}",
    NoticeEvent.REFUSED: "❌ *{id}* was refused: its servers cannot run the plan",
    NoticeEvent.APPROVAL_NEEDED: "✋ *{id}* waits for approval of {gate}: `kitsune approve {id} --gate {gate}`",
    NoticeEvent.PAUSED: "⏸ *{id}* was paused",
    NoticeEvent.RESUMED: "▶ *{id}* goes on",
    NoticeEvent.SERVER_HELD: "✋ *{id}*: step {step} failed on {server}, and somebody has to decide: "
    "`kitsune status {id}`",
}


def body_of(receiver: Receiver, notice: Notice) -> bytes:
    """Return the body in the receiver's template; the same bytes for every try."""
    if receiver.webhook.template == "slack":
        told: dict[str, Any] = {"text": slack_text(notice)}
    else:
        told = {"schema": SCHEMA, **notice.model_dump(mode="json", by_alias=True)}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def headers_of(
    receiver: Receiver, notice: Notice, body: bytes, *, timestamp: int
) -> dict[str, str]:
    """Return the headers of one try.

    Args:
        receiver: Whose key signs.
        notice: Gives the key by which a receiver knows a repetition.
        body: What is signed.
        timestamp: Now, in seconds since 1970; a receiver refuses what is old.
    """
    headers = {
        "content-type": "application/json",
        "user-agent": f"kitsune/{__version__}",
        "idempotency-key": notice.id,
        "kitsune-event": notice.event.value,
    }
    if receiver.secret is not None:
        headers["kitsune-signature"] = signature_of(body, receiver.secret, timestamp=timestamp)
    return headers


def signature_of(body: bytes, secret: bytes, *, timestamp: int) -> str:
    """Return `t=<seconds>,v1=<hex>`: HMAC-SHA256 with the secret over `<seconds>.<body>`."""
    signed = f"{timestamp}.".encode() + body
    return f"t={timestamp},v1={hmac.new(secret, signed, hashlib.sha256).hexdigest()}"


def slack_text(notice: Notice) -> str:
    """Return one line in Slack's markup; what comes from a plan or a person cannot add any."""
    rollout = notice.rollout
    told = {
        "id": rollout.id,
        "total": str(rollout.total),
        "reason": rollout.reason or "",
        "gate": notice.gate or "",
        "server": notice.server.id if notice.server else "",
        "step": notice.server.step if notice.server else "",
    }
    text = _WORDS[notice.event].format_map({key: _escaped(value) for key, value in told.items()})
    if notice.actor:
        text += f" by {_escaped(notice.actor)}"
    if notice.comment:
        text += f" ({_escaped(notice.comment)})"
    counts = [f"{count} {_escaped(word)}" for word, count in rollout.counts.items()]
    text += f" · {', '.join(counts)} of {rollout.total}" if counts else ""
    for count, words in (
        (rollout.rolled_back, "rolled back"),
        (rollout.rollback_failed, "*not* rolled back: see to it"),
        (rollout.rollback_pending, "still to be rolled back: see to it"),
    ):
        text += f" · {count} {words}" if count else ""
    return text


def _escaped(text: str) -> str:
    """Return text that is only text: Slack knows no escape for `*` or a backtick, so those become look-alikes."""
    flat = " ".join(text.split())[:_LONGEST_TEXT]
    for char, shown in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("*", "\u2217"), ("`", "'")):
        flat = flat.replace(char, shown)
    return flat
