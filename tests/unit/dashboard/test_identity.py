"""Who is asking, where a proxy says it: only that proxy is believed."""

import pytest

from kitsune.dashboard.roles import Role

PROXY = {
    "authentication": "header",
    "trusted_proxies": ("10.0.0.0/30", "::1"),
    "public_url": "https://k.test",
    "operators": ("otto", "group:sre"),
    "approvers": ("anna", "group:leads"),
}


@pytest.fixture
def ask(serve):
    async def who(*headers, peer="10.0.0.1", **settings):
        async with serve(peer=peer, base="https://k.test", **(PROXY | settings)) as client:
            answer = await client.get("/probe", headers=list(headers))
            return answer.json() if answer.status_code == 200 else answer.status_code

    return who


@pytest.mark.parametrize(
    ("headers", "role"),
    [
        ([("X-Forwarded-User", "otto")], Role.OPERATOR),
        ([("X-Forwarded-User", "anna")], Role.APPROVER),
        ([("X-Forwarded-User", "vera")], Role.VIEWER),
        ([("X-Forwarded-User", "x"), ("X-Forwarded-Groups", "a, sre")], Role.OPERATOR),
        ([("X-Forwarded-User", "x"), ("X-Forwarded-Groups", "sre,leads")], Role.APPROVER),
        ([("X-Forwarded-User", "x"), ("X-Forwarded-Groups", "group:sre")], Role.VIEWER),
        ([("X-Forwarded-User", "sre")], Role.VIEWER),
    ],
)
async def test_the_named_proxy_says_who_it_is_and_groups_give_roles(ask, headers, role):
    assert (await ask(*headers))[1] == role.word


@pytest.mark.parametrize("peer", ["10.0.0.4", "127.0.0.1", "::2", "", "unix"])
async def test_nobody_else_is_believed(ask, peer):
    assert await ask(("X-Forwarded-User", "anna"), peer=peer) == 403


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("X-Forwarded-User", "")],
        [("X-Forwarded-User", "  ")],
        [("X-Forwarded-User", "anna"), ("X-Forwarded-User", "otto")],
        [("X-Forwarded-User", "a" * 101)],
        [("X-Remote-User", "anna")],
        [("X-Forwarded-User", "x"), ("X-Forwarded-Groups", "a"), ("X-Forwarded-Groups", "leads")],
    ],
)
async def test_a_request_that_names_nobody_or_two_is_refused(ask, headers):
    assert await ask(*headers) == 403


async def test_a_user_cannot_be_called_like_a_group(ask):
    assert await ask(("X-Forwarded-User", "group:leads")) == 403


async def test_a_proxy_says_where_a_login_comes_from(serve, local):
    settings = {**local, "trusted_proxies": ("10.0.0.1",), "public_url": "https://k.test"}
    async with serve(peer="10.0.0.1", base="https://k.test", **settings) as client:
        identity = client.app.state.identity
        from starlette.requests import HTTPConnection

        def address(peer, forwarded):
            headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
            return identity.address_of(
                HTTPConnection({"type": "http", "client": (peer, 1), "headers": headers})
            )

        assert address("10.0.0.1", "1.2.3.4, 5.6.7.8") == "5.6.7.8"
        assert address("10.0.0.1", "1.2.3.4, 10.0.0.1") == "1.2.3.4"
        assert address("10.0.0.1", "") == "10.0.0.1"
        assert address("9.9.9.9", "1.2.3.4") == "9.9.9.9"
