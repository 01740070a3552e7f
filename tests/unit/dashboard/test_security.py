"""What no page of ours and no honest client sends is refused, whoever sends it."""

import pytest
from starlette.datastructures import Headers

from kitsune.dashboard.security import MAX_BODY, POLICY, host_of, is_cross_site

OPEN = ["/probe", "/healthz", "/static/kitsune.css", "/nowhere"]


@pytest.mark.parametrize("path", OPEN)
async def test_every_answer_carries_the_headers(serve, path):
    async with serve() as client:
        answer = await client.get(path)
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"]
    assert "server" not in answer.headers


def test_the_policy_allows_nothing_inline_evaluated_or_from_elsewhere():
    assert "unsafe" not in POLICY
    assert "http" not in POLICY
    assert "*" not in POLICY
    assert "default-src 'none'" in POLICY
    assert "frame-ancestors 'none'" in POLICY


async def test_browsers_are_told_to_stay_with_https_where_there_is_https(serve):
    async with serve() as client:
        assert "strict-transport-security" not in (await client.get("/probe")).headers
    async with serve(public_url="https://k.test", base="https://k.test") as client:
        assert "strict-transport-security" in (await client.get("/probe")).headers


@pytest.mark.parametrize(
    "host",
    [
        "evil.test", "evil.test:80", "127.0.0.1.evil.test", "localhost@evil.test", "", "[::1",
        "evil@localhost", "evil:pw@127.0.0.1:7280", "localhost/evil", "localhost?evil", "localhost#evil", "local host",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/healthz", "/static/kitsune.css"])
async def test_a_name_that_is_not_ours_is_refused(serve, host, path):
    async with serve() as client:
        answer = await client.get(path, headers={"Host": host})
    assert answer.status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1:7280", "LOCALHOST:80", "[::1]:7280", "kitsune.test"])
async def test_our_own_names_are_answered_with_any_port(serve, host):
    async with serve(allowed_hosts=("kitsune.test",)) as client:
        assert (await client.get("/probe", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    ("header", "host"),
    [("A.test:80", "a.test"), ("[::1]:80", "::1"), ("[::1", ""), ("", ""), ("a.test", "a.test")],
)
def test_a_host_header_is_read_as_browsers_write_it(header, host):
    assert host_of(header) == host


@pytest.mark.parametrize(
    ("headers", "cross"),
    [
        ({"sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "same-site"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "cross-site", "origin": "http://k.test"}, True),
        ({"origin": "http://k.test"}, False),
        ({"origin": "http://evil.test"}, True),
        ({"origin": "http://k.test:81"}, True),
        ({"origin": "null"}, True),
        ({"origin": "http://["}, True),
        ({}, False),
    ],
)
def test_only_our_own_pages_may_change_something(headers, cross):
    given = Headers({"host": "k.test", **headers})
    assert is_cross_site("POST", given) is cross
    assert is_cross_site("GET", given) is False


@pytest.mark.parametrize(
    "path", ["/rollouts/web-1/abort", "/api/v1/rollouts/web-1/abort", "/login"]
)
async def test_another_sites_page_can_order_nothing(serve, fleet, path):
    async with serve() as client:
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.test"}):
            answer = await client.post(path, headers=headers, data={"reason": "x"})
            assert answer.status_code == 403
    assert fleet.orders == []


@pytest.mark.parametrize(
    "method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"]
)
async def test_other_methods_are_refused(serve, method):
    async with serve() as client:
        answer = await client.request(method, "/")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"


async def test_a_large_body_is_refused_before_it_is_read(serve):
    async with serve() as client:
        answer = await client.post("/nowhere", content=b"x" * (MAX_BODY + 1))
        assert answer.status_code == 413
        answer = await client.post("/nowhere", headers={"Content-Length": "-1"})
        assert answer.status_code == 413


async def test_a_large_body_without_a_length_is_refused_as_well(serve, local):
    async def pieces():
        for _ in range(40):
            yield b"x" * 100_000

    async with serve(**local) as client:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await client.post("/login", content=pieces(), headers=form)).status_code == 400
    async with serve() as client:
        kind = {"Content-Type": "application/json"}
        answer = await client.post("/api/v1/validate", content=pieces(), headers=kind)
    assert answer.status_code == 413


async def test_a_body_that_does_not_come_to_its_end_is_not_waited_for(serve, local, monkeypatch):
    import asyncio

    from kitsune.dashboard import security

    monkeypatch.setattr(security, "BODY_WITHIN", 0.05)
    never = asyncio.Event()

    async def pieces():
        yield b"name=anna&"
        await never.wait()

    async with serve(**local) as client:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        async with asyncio.timeout(10):
            answer = await client.post("/login", content=pieces(), headers=form)
    assert answer.status_code == 408


async def test_what_never_changes_may_be_kept_and_nothing_else(serve):
    async with serve() as client:
        assert (await client.get("/static/kitsune.css")).headers["cache-control"] == "no-cache"
        assert (await client.get("/probe")).headers["cache-control"] == "no-store"
