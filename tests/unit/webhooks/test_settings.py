"""The file that says who is told: everything wrong at once, with its place, and no secret in any message."""

import importlib.util
import json

import pytest

from kitsune.errors import BadSetting
from kitsune.models.notices import NoticeEvent
from kitsune.webhooks import settings
from kitsune.webhooks.settings import load_receivers

GOOD = {"name": "ops", "url": "https://ops.example/hooks/s3cr3t-path"}


@pytest.fixture
def load(tmp_path):
    def load_them(*webhooks, environ=None, text=None):
        path = tmp_path / "webhooks.json"
        path.write_text(text or json.dumps({"webhooks": list(webhooks)}))
        return load_receivers(str(path), environ or {})

    return load_them


@pytest.fixture
def refusal(load):
    def refusal_of(*webhooks, **given):
        with pytest.raises(BadSetting) as refused:
            load(*webhooks, **given)
        return str(refused.value)

    return refusal_of


def test_what_is_left_out_has_a_default(load):
    receiver = load(GOOD)["ops"]
    assert receiver.secret is None
    assert receiver.webhook.template == "generic"
    assert receiver.webhook.timeout.total_seconds() == 10
    assert receiver.webhook.interest.events == [event.value for event in NoticeEvent]


def test_yaml_is_read_too(tmp_path):
    path = tmp_path / "webhooks.yaml"
    path.write_text("webhooks:\n  - name: ops\n    url: https://ops.example/x\n    timeout: 3s\n")
    assert load_receivers(str(path), {})["ops"].webhook.timeout.total_seconds() == 3


def test_a_secret_comes_from_a_file_or_a_variable(load, tmp_path):
    secret = tmp_path / "key"
    secret.write_text("of the file\n")
    found = load(
        {**GOOD, "secretFile": str(secret)},
        {**GOOD, "name": "other", "secretEnv": "KEY"},
        environ={"KEY": "of the variable"},
    )
    assert found["ops"].secret == b"of the file"
    assert found["other"].secret == b"of the variable"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "Ops Chat"}, "webhooks[0].name: must be up to 40 small letters"),
        ({"url": "ftp://ops.example/x"}, "must be a web address, with its scheme and host"),
        ({"url": "https:///x"}, "must be a web address, with its scheme and host"),
        ({"url": "https://ops.example:99999/x"}, "not an address, or its port is none"),
        ({"url": "https://me:pw@ops.example/x"}, "must hold no user or password"),
        ({"url": 7}, "webhooks[0].url: must be a text"),
        ({"events": ["rolloutStopt"]}, "(did you mean 'rolloutStopped'?)"),
        ({"template": "teams"}, "must be one of 'generic' or 'slack'"),
        ({"timeout": "5m"}, "must be between 1s and 60s"),
        ({"timeout": "soon"}, "not a duration: 'soon'"),
        ({"evnts": []}, "unknown key 'evnts' (did you mean 'events'?)"),
        ({"secretFile": "/nonexistent/key"}, "cannot read '/nonexistent/key': no such file"),
        ({"secretEnv": "KEY"}, "'KEY' is not set, or empty"),
        ({"secretEnv": "KEY", "secretFile": "/x"}, "either secretFile or secretEnv, not both"),
        ({"secret": "hunter2"}, "a secret never stands in this file"),
    ],
)
def test_what_cannot_be_is_named(refusal, change, said):
    text = refusal({**GOOD, **change})
    assert said in text
    assert "webhooks.json:1:" in text
    assert "s3cr3t" not in text
    assert "hunter2" not in text


def test_everything_wrong_is_told_at_once(refusal):
    text = refusal({**GOOD, "timeout": 0}, {"name": "other"}, {**GOOD, "template": "x"})
    assert [text.count(word) for word in ("[0].timeout", "[1].url", "[2].template")] == [1, 1, 1]


def test_two_of_one_name_are_refused(refusal):
    assert "'ops' stands here twice" in refusal(GOOD, GOOD)


@pytest.mark.parametrize("text", ["[]", "{}", '{"webhooks": []}', "7", '{"webhooks": {}}'])
def test_a_file_without_webhooks_is_refused(refusal, text):
    assert "webhooks" in refusal(text=text)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadSetting, match=r"cannot be read: .*nowhere: no such file"):
        load_receivers(str(tmp_path / "nowhere"), {})


def test_a_missing_extra_is_named(refusal, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(settings, "find_spec", lambda name: None if name == "httpx" else real(name))
    assert refusal(GOOD) == (
        "webhooks need the extra 'webhooks': pip install 'kitsune-orchestrator[webhooks]'"
    )
