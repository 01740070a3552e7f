import pytest

from kitsune.errors import PlanRefused
from kitsune.handlers.base import shown_params
from kitsune.handlers.file_write import FileWriteHandler
from kitsune.handlers.file_write_params import FileWriteParams
from kitsune.testing import HandlerBench

GOOD = {"path": "/etc/app.conf", "content": "x"}


async def problems_of(params, tmp_path):
    with pytest.raises(PlanRefused) as refusal:
        await HandlerBench(FileWriteHandler(), state=tmp_path).execute(params)
    return [problem.text for problem in refusal.value.problems]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "etc/app.conf"}, "must be an absolute path, not 'etc/app.conf'"),
        ({"path": ""}, "must be an absolute path"),
        ({"path": "/etc/app\0.conf"}, "NUL character"),
        ({"path": "/etc/"}, "must name a file, not a folder: '/etc/'"),
        ({"path": "/"}, "must name a file"),
        ({"path": "/etc/../app.conf"}, "must be written without"),
        ({"path": "/etc/."}, "must be written without"),
        ({"mode": 644}, "the number 644 .*\"0644\", in quotes: YAML reads 0644 as 644"),
        ({"mode": 0o644}, "the number 420 .*\"0644\""),
        ({"mode": "rw-r--r--"}, "not a mode: 'rw-r--r--'"),
        ({"mode": "0888"}, "not a mode: '0888'"),
        ({"mode": "17777"}, "not a mode: '17777'"),
        ({"mode": "64"}, "not a mode: '64'"),
        ({"mode": True}, "params.mode: must be a text"),
        ({"owner": ""}, "must be a name or a number, not ''"),
        ({"owner": -1}, "not a user or group id: -1"),
        ({"owner": 2**32 - 1}, "not a user or group id: 4294967295"),
        ({"group": True}, "must be a name or a number, not True"),
        ({"group": 1.5}, "must be a name or a number, not 1.5"),
        ({"content": 5}, "params.content: must be a text"),
        ({"contentBase64": "eA=="}, "write either content or contentBase64, not both"),
        ({"content": None, "contentBase64": "e?"}, "params.contentBase64: not base64"),
        ({"createParents": "yes"}, "params.createParents: must be true or false"),
        ({"contents": "x"}, "unknown key 'contents' .did you mean 'content'"),
    ],
)  # fmt: skip
async def test_wrong_params_are_refused_with_advice(tmp_path, change, message):
    import re

    found = await problems_of(GOOD | change, tmp_path)
    assert re.search(message, "\n".join(found)), found


async def test_content_is_required(tmp_path):
    assert await problems_of({"path": "/etc/app.conf"}, tmp_path) == [
        'params: needs content or contentBase64 (content: "" for an empty file)'
    ]


async def test_a_refusal_never_repeats_the_content(tmp_path):
    secret = "hunter2hunter2"
    both = await problems_of(
        {"path": "relative", "content": secret, "contentBase64": f"!{secret}"}, tmp_path
    )
    assert "hunter2" not in "\n".join(both)


def test_the_content_never_reaches_a_log():
    params = FileWriteParams.model_validate({"path": "/etc/app.conf", "content": "hunter2"})
    assert shown_params(params) == {"path": "/etc/app.conf", "content": "***"}


@pytest.mark.parametrize(
    ("written", "bits"),
    [("0644", 0o644), ("644", 0o644), ("0o600", 0o600), ("4755", 0o4755), ("01777", 0o1777), ("000", 0)],
)  # fmt: skip
def test_a_mode_is_octal_text(written, bits):
    assert FileWriteParams.model_validate(GOOD | {"mode": written}).mode_bits == bits


def test_base64_may_be_folded_over_lines():
    params = {"path": "/x", "contentBase64": "AP/+\n  AAE=\n"}
    assert FileWriteParams.model_validate(params).new_content == b"\x00\xff\xfe\x00\x01"


def test_an_account_may_be_a_number():
    assert FileWriteParams.model_validate(GOOD | {"owner": 1000}).owner == "1000"
