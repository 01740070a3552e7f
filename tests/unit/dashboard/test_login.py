"""A login: who gets in, how often they may try, and how a session ends."""

from datetime import timedelta

import pytest

from kitsune.dashboard.login import local_path
from kitsune.dashboard.users import entry_text
from support.clock import Clock
from support.logins import HASH, PASSWORD, log_in


async def test_a_stranger_is_led_to_the_login_and_back(serve, local):
    async with serve(**local) as client:
        led = await client.get("/rollouts/web-1?tab=plan")
        assert (led.status_code, led.headers["location"]) == (
            303,
            "/login?next=%2Frollouts%2Fweb-1%3Ftab%3Dplan",
        )
        page = await client.get(led.headers["location"])
        assert 'name="next" value="/rollouts/web-1?tab=plan"' in page.text
        came = await log_in(client, "anna", next="/rollouts/web-1?tab=plan")
        assert (came.status_code, came.headers["location"]) == (303, "/rollouts/web-1?tab=plan")
        assert (await client.get("/probe")).status_code == 200


async def test_api_and_streams_tell_a_stranger_so(serve, local):
    async with serve(**local) as client:
        for path in ("/api/v1/rollouts", "/stream/rollouts"):
            assert (await client.get(path)).status_code == 401


@pytest.mark.parametrize(
    ("name", "password"),
    [("anna", "wrong"), ("nobody", PASSWORD), ("anna", ""), ("", ""), ("anna", PASSWORD + "x")],
)
async def test_a_wrong_password_or_name_is_one_and_the_same_answer(serve, local, name, password):
    async with serve(**local) as client:
        answer = await log_in(client, name, password)
        assert answer.status_code == 401
        assert "wrong name or password" in answer.text
        assert "set-cookie" not in answer.headers
        assert (await client.get("/probe")).status_code == 303


async def test_a_user_who_tries_too_often_has_to_wait_even_with_the_right_one(serve, local):
    async with serve(**local) as client:
        for _ in range(5):
            assert (await log_in(client, "anna", "wrong")).status_code == 401
        answer = await log_in(client, "anna")
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        assert "too many tries" in answer.text
        assert (await log_in(client, "otto")).status_code == 303


async def test_the_cookie_is_for_this_host_and_for_no_script(serve, local):
    async with serve(**local) as client:
        cookie = (await log_in(client, "anna")).headers["set-cookie"]
    assert cookie.startswith("kitsune=")
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    async with serve(**local, public_url="https://k.test", base="https://k.test") as client:
        cookie = (await log_in(client, "anna")).headers["set-cookie"]
    assert cookie.startswith("__Host-kitsune=")
    assert "Secure" in cookie


async def test_a_login_gives_a_new_session_and_a_logout_ends_it(serve, local):
    async with serve(**local) as client:
        await log_in(client, "anna")
        first = client.cookies["kitsune"]
        await log_in(client, "anna")
        second = client.cookies["kitsune"]
        assert first != second
        client.cookies = {"kitsune": first}
        assert (await client.get("/probe")).status_code == 303
        client.cookies = {"kitsune": second}
        assert (await client.get("/probe")).status_code == 200
        assert (await client.post("/logout")).status_code == 303
        client.cookies = {"kitsune": second}
        assert (await client.get("/probe")).status_code == 303


async def test_a_logout_by_a_link_does_nothing(serve, local):
    async with serve(**local) as client:
        await log_in(client, "anna")
        assert (await client.get("/logout")).status_code == 405
        assert (await client.get("/probe")).status_code == 200


async def test_a_user_who_is_taken_out_of_the_file_is_out(serve, local, users_file):
    async with serve(**local) as client:
        await log_in(client, "anna")
        users_file.write_text(entry_text("otto", role="operator", password_hash=HASH))
        assert (await client.get("/probe")).status_code == 303


async def test_a_new_password_ends_the_sessions_of_the_old_one(serve, local, users_file):
    async with serve(**local) as client:
        await log_in(client, "anna")
        other = HASH[:-2] + ("AA" if not HASH.endswith("AA") else "BB")
        users_file.write_text(entry_text("anna", role="approver", password_hash=other))
        assert (await client.get("/probe")).status_code == 303


async def test_a_new_role_holds_at_once(serve, local, users_file):
    async with serve(**local) as client:
        await log_in(client, "anna")
        users_file.write_text(entry_text("anna", role="viewer", password_hash=HASH))
        assert (await client.post("/rollouts/web-1/pause")).status_code == 403


@pytest.mark.parametrize(
    "evil",
    [
        "//evil.test",
        "https://evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "javascript:alert(1)",
        "",
        "/a\r\nb",
        "/x\\..",
        "/login",
    ],
)
def test_a_login_leads_to_no_other_site(evil):
    assert local_path(evil) == "/"


async def test_the_page_escapes_what_it_is_given(serve, local):
    async with serve(**local) as client:
        page = await client.get("/login", params={"next": '/"><script>x</script>'})
    assert "<script>" not in page.text


async def test_nobody_logs_in_where_there_is_no_login(serve):
    async with serve() as client:
        assert (await client.get("/login")).status_code == 404
        assert (await client.post("/login")).status_code == 404


def test_tries_are_counted_for_users_and_for_addresses_and_forgotten_in_time():
    from kitsune.dashboard.attempts import PER_ADDRESS, WITHIN, Attempts

    clock = Clock()
    attempts = Attempts(now=clock)
    for number in range(PER_ADDRESS):
        assert attempts.wait(user=f"u{number}", address="a") == timedelta()
        attempts.failed(user=f"u{number}", address="a")
    assert attempts.wait(user="another", address="a") == WITHIN
    assert attempts.wait(user="another", address="b") == timedelta()
    clock.go_on(minutes=2)
    assert attempts.wait(user="another", address="a") == WITHIN - timedelta(minutes=2)
    clock.go_on(minutes=3)
    assert attempts.wait(user="another", address="a") == timedelta()


def test_a_right_password_clears_the_user_but_not_the_wrong_ones_of_the_address():
    from kitsune.dashboard.attempts import PER_ADDRESS, Attempts

    attempts = Attempts(now=Clock())
    for _ in range(PER_ADDRESS - 1):
        attempts.failed(user="anna", address="a")
    attempts.failed(user="eve", address="a")
    attempts.succeeded(user="eve", address="a")
    assert attempts.wait(user="eve", address="a") == timedelta()
    attempts.failed(user="eve", address="a")
    assert attempts.wait(user="eve", address="a") > timedelta()


def test_what_is_remembered_of_tries_is_bounded():
    from kitsune.dashboard import attempts as module

    attempts = module.Attempts(now=Clock())
    for number in range(6_000):
        attempts.failed(user=f"u{number}", address=f"a{number}")
    assert len(attempts._failed) <= 10_000


def test_a_session_ends_when_it_is_idle_and_at_last_in_any_case():
    from kitsune.dashboard.sessions import IDLE, LONGEST, Sessions

    clock = Clock()
    sessions = Sessions(now=clock)
    token = sessions.begin("anna", mark="m")
    clock.time += IDLE - timedelta(seconds=1)
    assert sessions.find(token, touch=False)
    clock.go_on(seconds=1)
    assert sessions.find(token) is None
    token = sessions.begin("anna", mark="m")
    end = clock.time + LONGEST
    while clock.time + timedelta(minutes=20) < end:
        clock.go_on(minutes=20)
        assert sessions.find(token)
    clock.time = end
    assert sessions.find(token) is None
    assert len(sessions) == 0


def test_sessions_are_bounded_for_one_user_and_for_all():
    from kitsune.dashboard.sessions import MOST, MOST_OF_ONE, Sessions

    sessions = Sessions(now=Clock())
    first = sessions.begin("anna", mark="m")
    for _ in range(MOST_OF_ONE):
        last = sessions.begin("anna", mark="m")
    assert len(sessions) == MOST_OF_ONE
    assert sessions.find(first) is None
    assert sessions.find(last)
    for number in range(MOST):
        sessions.begin(f"u{number}", mark="m")
    assert len(sessions) == MOST
    assert sessions.find(last) is None


async def test_a_page_that_refreshes_itself_does_not_keep_a_session_alive(
    serve, local, monkeypatch
):
    from kitsune.dashboard import sessions

    clock = Clock()
    async with serve(**local) as client:
        await log_in(client, "anna")
        kept = client.app.state.identity._sessions
        monkeypatch.setattr(kept, "_now", clock)
        clock.time = next(iter(kept._by_hash.values())).used
        clock.time += sessions.IDLE - timedelta(minutes=1)
        assert (await client.get("/probe?part=live")).status_code == 200
        clock.go_on(minutes=1)
        assert (await client.get("/probe")).status_code == 303
