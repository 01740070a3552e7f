"""What a receiver gets."""

import json
from datetime import UTC, datetime

import pytest

from kitsune.models.notices import Notice, NoticeEvent, NoticeRollout, NoticeServer
from kitsune.webhooks.message import body_of, headers_of, signature_of, slack_text
from kitsune.webhooks.settings import Receiver, Webhook

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def notice(event=NoticeEvent.STARTED, *, rollout=None, **told):
    about = {"id": "web-k3v7qa", "name": "web", "total": 10, "started_at": NOON} | (rollout or {})
    return Notice(id="run.1", event=event, at=NOON, rollout=NoticeRollout(**about), **told)


def receiver(template="generic", secret=None):
    return Receiver(Webhook(name="ops", url="https://ops.example/x", template=template), secret)


def test_the_generic_body_is_what_the_guide_says():
    counts = {"succeeded": 3, "failed": 2}
    told = notice(NoticeEvent.STOPPED, rollout={"counts": counts, "reason": "2 servers failed"})
    assert json.loads(body_of(receiver(), told)) == {
        "schema": "kitsune.webhook/v1",
        "id": "run.1",
        "event": "rolloutStopped",
        "at": "2026-11-25T12:00:00Z",
        "rollout": {
            "id": "web-k3v7qa",
            "name": "web",
            "total": 10,
            "counts": counts,
            "reason": "2 servers failed",
            "startedAt": "2026-11-25T12:00:00Z",
            "endedAt": None,
            "rolledBack": 0,
            "rollbackFailed": 0,
            "rollbackPending": 0,
        },
        "gate": None,
        "server": None,
        "actor": None,
        "comment": None,
    }


def test_the_signature_is_what_openssl_says():
    # printf '1764072000.{"a":1}' | openssl dgst -sha256 -hmac key
    assert signature_of(b'{"a":1}', b"key", timestamp=1764072000) == (
        "t=1764072000,v1=3c2d41e790e3bd8b86650f35b648e38f4d3d8cb1f93a04db2505553a6765643d"
    )


def test_headers_say_what_a_repetition_is_and_sign_only_with_a_secret():
    told, body = notice(), b"{}"
    plain = headers_of(receiver(), told, body, timestamp=1)
    assert plain["idempotency-key"] == "run.1"
    assert plain["kitsune-event"] == "rolloutStarted"
    assert "kitsune-signature" not in plain
    signed = headers_of(receiver(secret=b"key"), told, body, timestamp=1)
    assert signed["kitsune-signature"] == signature_of(body, b"key", timestamp=1)


@pytest.mark.parametrize("event", NoticeEvent)
def test_every_event_has_a_line_for_chats(event):
    told = notice(event, gate="canary", server=NoticeServer(id="web-1", step="deploy"))
    text = json.loads(body_of(receiver("slack"), told))["text"]
    assert "web-k3v7qa" in text
    assert "\n" not in text


def test_a_chat_is_told_which_command_decides():
    text = slack_text(notice(NoticeEvent.APPROVAL_NEEDED, gate="canary"))
    assert "`kitsune approve web-k3v7qa --gate canary`" in text


def test_a_chat_is_told_what_needs_a_person_in_the_end():
    told = notice(
        NoticeEvent.STOPPED, rollout={"reason": "x", "rolled_back": 3, "rollback_failed": 1}
    )
    assert slack_text(told).endswith("3 rolled back · 1 *not* rolled back: see to it")


def test_nobody_can_mention_everybody_through_a_name_or_a_reason():
    told = notice(
        NoticeEvent.PAUSED, actor="<!channel>", comment="*see* `this`\n<https://evil|here>&"
    )
    text = slack_text(told)
    assert "<" not in text
    assert text.count("*") == 2, "only ours"
    assert "`" not in text
    assert "&lt;!channel&gt;" in text
