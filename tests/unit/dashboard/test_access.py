"""Who may do what: every route with every role, and whatever is not named is refused to most."""

import pytest
from starlette.routing import Mount, Route

from kitsune.dashboard.app import create_app
from kitsune.dashboard.roles import Role, User, role_for, role_from
from kitsune.dashboard.settings import DashboardSettings
from support.fake_fleet import FakeFleet
from support.logins import log_in

USERS = {"vera": Role.VIEWER, "otto": Role.OPERATOR, "anna": Role.APPROVER}
#: POST -> who may; each other POST needs an operator.
BELOW_OPERATOR = {
    "/login": None,
    "/logout": Role.VIEWER,
    "/api/v1/validate": Role.VIEWER,
    "/rollouts/new/preview": Role.VIEWER,
}
ABOVE_OPERATOR = {"/api/v1/rollouts/{rollout_id}/approve": Role.APPROVER}
#: GET without a login.
PUBLIC = {"/login", "/healthz", "/readyz"}


def routes(users_file):
    settings = DashboardSettings(authentication="local", users_file=users_file)
    for route in create_app(settings, FakeFleet()).routes:
        if isinstance(route, Mount):
            assert route.path == "/static"
            continue
        assert isinstance(route, Route)
        for method in route.methods - {"HEAD"}:
            yield method, route.path


def test_every_route_needs_the_role_that_it_should(users_file):
    found = list(routes(users_file))
    assert len(found) > 20
    for method, path in found:
        concrete = path.replace("{rollout_id}", "web-1").replace("{server_id}", "a")
        concrete = concrete.replace("{verb}", "pause")
        expected = Role.VIEWER if method == "GET" else Role.OPERATOR
        if method == "GET" and path in PUBLIC:
            expected = None
        if method == "POST":
            expected = {**BELOW_OPERATOR, **ABOVE_OPERATOR}.get(path, expected)
        assert role_for(method, concrete) is expected, (method, path)


def test_nothing_is_changed_by_get(users_file):
    paths = {path for method, path in routes(users_file) if method == "POST"}
    assert "/api/v1/rollouts/{rollout_id}/abort" in paths
    for method, path in routes(users_file):
        verb = path.rsplit("/", 1)[-1]
        assert method == "POST" or verb not in ("abort", "pause", "approve", "logout", "rollback")


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("/rollouts/web-1/approve", Role.APPROVER),
        ("/rollouts/web-1/approve/", Role.APPROVER),
        ("/rollouts/web-1/abort", Role.OPERATOR),
        ("/rollouts", Role.OPERATOR),
        ("/anything/new", Role.OPERATOR),
        ("/static/../rollouts", None),
        ("/static/", Role.OPERATOR),
        ("/login/../rollouts", Role.OPERATOR),
        ("/loginx", Role.OPERATOR),
    ],
)
def test_what_is_not_named_needs_an_operator(path, role):
    assert role_for("POST", path) is role


@pytest.mark.parametrize("name", ["vera", "otto", "anna", None])
@pytest.mark.parametrize(
    ("asked", "needed"),
    [
        (("GET", "/api/v1/rollouts"), Role.VIEWER),
        (("GET", "/api/v1/rollouts/web-1/plan"), Role.VIEWER),
        (("POST", "/api/v1/validate"), Role.VIEWER),
        (("POST", "/api/v1/rollouts"), Role.OPERATOR),
        (("POST", "/api/v1/rollouts/web-1/pause"), Role.OPERATOR),
        (("POST", "/api/v1/rollouts/web-1/abort"), Role.OPERATOR),
        (("POST", "/api/v1/rollouts/web-1/retry"), Role.OPERATOR),
        (("POST", "/api/v1/rollouts/web-1/set"), Role.OPERATOR),
        (("POST", "/api/v1/rollouts/web-1/approve"), Role.APPROVER),
    ],
)
async def test_a_role_reaches_as_far_as_it_does(request, fleet, name, asked, needed):
    (method, path), serve = asked, request.getfixturevalue("serve")
    local = request.getfixturevalue("local")
    async with serve(**local) as client:
        if name:
            await log_in(client, name)
        fleet.calls.clear()
        answer = await client.request(method, path, json={} if method == "POST" else None)
    if name is None:
        assert answer.status_code == 401
    elif USERS[name] < needed:
        assert answer.status_code == 403
        assert f"needs the role {needed.word}" in answer.json()["detail"]
    else:
        assert answer.status_code not in (401, 403)
    if name is None or USERS[name] < needed:
        assert set(fleet.calls) <= {"rollouts"}


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd"]
)
async def test_what_is_public_leads_nowhere_else(serve, local, path):
    async with serve(**local) as client:
        assert (await client.get(path)).status_code in (303, 404)


async def test_without_a_login_it_is_whoever_sits_here(serve):
    from kitsune.service.connection import actor

    async with serve() as client:
        assert (await client.get("/probe")).json() == [actor(), "approver"]


def test_roles_include_each_other_and_have_names():
    assert [role.word for role in Role] == ["viewer", "operator", "approver"]
    assert User("a", Role.OPERATOR).may(Role.VIEWER)
    assert not User("a", Role.OPERATOR).may(Role.APPROVER)
    with pytest.raises(ValueError, match="viewer, operator, approver"):
        role_from("root")
