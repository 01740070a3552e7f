"""What the guide of webhooks shows is what they are."""

import json
import re
import time
from pathlib import Path

from kitsune.models.notices import Notice, NoticeEvent
from kitsune.webhooks.message import SCHEMA, signature_of
from kitsune.webhooks.settings import load_receivers

GUIDE = (Path(__file__).parents[2] / "docs/guides/webhooks.md").read_text()
BLOCKS = dict(re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL))


def test_the_file_of_the_guide_is_read(tmp_path):
    (tmp_path / "key").write_text("secret")
    path = tmp_path / "webhooks.yaml"
    path.write_text(BLOCKS["yaml"].replace("/etc/kitsune/change-log.key", str(tmp_path / "key")))
    assert list(load_receivers(str(path), {})) == ["ops-chat", "change-log"]


def test_the_body_of_the_guide_has_every_field():
    shown = json.loads(BLOCKS["json"])
    assert shown.pop("schema") == SCHEMA
    assert Notice.model_validate(shown).model_dump(mode="json").keys() == shown.keys()
    rollout = Notice.model_validate(shown).rollout.model_dump(mode="json")
    assert rollout.keys() == shown["rollout"].keys()


def test_every_event_is_explained():
    table = re.findall(r"^\| (`.*?) \|", GUIDE, re.MULTILINE)
    assert {word for row in table for word in re.findall(r"`(\w+)`", row)} >= {*NoticeEvent}


def test_the_check_of_the_guide_accepts_what_we_sign_and_nothing_else():
    scope = {}
    exec(BLOCKS["python"], scope)
    now = int(time.time())
    header = signature_of(b"{}", b"key", timestamp=now)
    assert scope["is_ours"](b"{}", header, b"key")
    assert not scope["is_ours"](b"{ }", header, b"key")
    assert not scope["is_ours"](b"{}", header, b"other")
    old = signature_of(b"{}", b"key", timestamp=now - 3600)
    assert not scope["is_ours"](b"{}", old, b"key")
