"""The JSON API: what it answers, and how it says no."""

import asyncio
import threading

import pytest

from kitsune.dashboard.api import operations
from kitsune.models.progress import Progress
from kitsune.service.outcomes import CutShort, Refused
from support.logins import log_in

PLAN = {
    "name": "greet",
    "servers": ["a", "b"],
    "steps": [{"name": "hello", "type": "echo", "params": {"message": "hi"}}],
}
API = "/api/v1"


@pytest.fixture
async def client(serve):
    async with serve() as client:
        yield client


async def test_rollouts_are_listed_and_found(client, fleet, rollout):
    found = (await client.get(f"{API}/rollouts")).json()
    assert found["total"] == 1
    assert found["rollouts"][0]["rolloutId"] == "web-1"
    assert found["trouble"] is None
    for query, total in (
        ({"state": "running"}, 1),
        ({"state": "failed"}, 0),
        ({"open": "true"}, 1),
        ({"open": "false"}, 0),
        ({"search": "WEB"}, 1),
        ({"search": "db"}, 0),
        ({"offset": 1}, 1),
    ):
        assert (await client.get(f"{API}/rollouts", params=query)).json()["total"] == total
    assert (await client.get(f"{API}/rollouts", params={"offset": 1})).json()["rollouts"] == []


async def test_a_rollout_is_shown_without_its_servers_and_those_page_by_page(client, rollout):
    rollout.states["b"] = "failed"
    shown = (await client.get(f"{API}/rollouts/web-1")).json()
    assert (shown["phase"], shown["open"], shown["success"]) == ("running", True, None)
    assert shown["counts"] == {"pending": 2, "failed": 1}
    assert "servers" not in shown
    page = (await client.get(f"{API}/rollouts/web-1/servers?offset=1&limit=1")).json()
    assert (page["total"], [server["serverId"] for server in page["servers"]]) == (3, ["b"])
    page = (await client.get(f"{API}/rollouts/web-1/servers?state=failed")).json()
    assert page["total"] == 1
    server = (await client.get(f"{API}/rollouts/web-1/servers/b")).json()
    assert server["state"] == "failed"


async def test_an_ended_rollout_has_a_result_and_events(client, rollout):
    answer = await client.get(f"{API}/rollouts/web-1/result")
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        "rollout 'web-1' has not ended yet",
    )
    rollout.end(b="disk full")
    client.app.state.board.expire("web-1")
    result = (await client.get(f"{API}/rollouts/web-1/result")).json()
    assert (result["success"], result["serversFailed"]) == (False, 1)
    assert (await client.get(f"{API}/rollouts/web-1")).json()["success"] is False
    events = (await client.get(f"{API}/rollouts/web-1/events")).json()["events"]
    assert any("started on 3 servers" in event["text"] for event in events)


@pytest.mark.parametrize(
    "outcome", [Refused("the plan is wrong", ()), CutShort("terminated", "by somebody")]
)
async def test_a_rollout_without_a_result_says_why(client, rollout, monkeypatch, outcome):
    rollout.end()
    row = rollout.row()
    monkeypatch.setattr(rollout, "row", lambda: row)
    rollout.outcome = outcome
    shown = (await client.get(f"{API}/rollouts/web-1")).json()
    assert shown["problems"] == ["the plan is wrong"] or shown["cutShort"] == "by somebody"
    assert (await client.get(f"{API}/rollouts/web-1/result")).status_code == 409


async def test_the_plan_is_shown_without_its_secrets(client, fleet, rollout):
    from kitsune.models.plan import Plan

    rollout.plan = Plan.model_validate(
        PLAN
        | {
            "steps": [
                {
                    "name": "a",
                    "type": "script",
                    "params": {"command": "x", "env": {"T": "hunter2"}},
                },
                {"name": "b", "type": "plugin", "params": {"token": "hunter2"}},
                {"name": "c", "type": "echo", "params": {"message": "seen"}},
            ]
        }
    )
    answer = await client.get(f"{API}/rollouts/web-1/plan")
    assert answer.json()["plan"]["steps"][2]["params"] == {"message": "seen"}
    assert "hunter2" not in answer.text


@pytest.mark.parametrize(
    "form",
    [
        {"plan": PLAN},
        {
            "text": "# mine\nname: greet\nservers: [a, b]\nsteps: [{name: hello, type: echo, params: {message: hi}}]"
        },
    ],
)
async def test_a_plan_is_started_in_the_name_of_who_is_logged_in(serve, local, fleet, form):
    async with serve(**local) as client:
        await log_in(client, "otto")
        answer = await client.post(f"{API}/rollouts", json={**form, "rolloutId": "mine"})
        assert answer.json() == {"rolloutId": "mine", "started": "started"}
        again = await client.post(f"{API}/rollouts", json={**form, "rolloutId": "mine"})
        assert again.json()["started"] == "alreadyRunning"
        other = await client.post(
            f"{API}/rollouts", json={**form, "rolloutId": "mine", "servers": ["c"]}
        )
        assert other.status_code == 409
    assert fleet.started == {"mine": "otto"}
    assert fleet.known["mine"].plan.servers == ["a", "b"]


async def test_a_started_plan_gets_an_id_that_tells_its_name(client, fleet):
    answer = await client.post(f"{API}/rollouts", json={"plan": PLAN, "servers": ["z"]})
    assert answer.json()["rolloutId"].startswith("greet-")
    assert fleet.known[answer.json()["rolloutId"]].plan.servers == ["z"]


async def test_a_wrong_plan_is_refused_with_every_problem_and_its_place(client, fleet):
    text = "name: x\nservers: [a, a]\nstpes: []\n"
    for path, status in (("/rollouts", 422), ("/validate", 200)):
        answer = await client.post(API + path, json={"text": text})
        assert answer.status_code == status
        problems = answer.json()["problems"]
        assert len(problems) >= 3
        assert ("stpes", 3, 1) in {
            (each["path"], each["line"], each["column"]) for each in problems
        }
        assert any(each["hint"] == "steps" for each in problems)
    assert fleet.started == {}


async def test_a_text_that_is_no_plan_file_says_where(client):
    answer = (await client.post(f"{API}/validate", json={"text": "a: [b"})).json()
    assert not answer["valid"]
    assert "plan:1:" in answer["problems"][0]["message"]


async def test_validation_tells_what_a_plan_would_do(client, fleet):
    answer = (await client.post(f"{API}/validate", json={"plan": PLAN})).json()
    assert answer["valid"]
    assert answer["preview"]["servers"] == 2
    assert fleet.started == {}


async def test_orders_are_obeyed_in_the_name_of_who_is_logged_in(serve, local, fleet):
    async with serve(**local) as client:
        await log_in(client, "anna")
        for verb, body in {
            "pause": {"drain": True, "reason": "lunch"},
            "resume": {},
            "approve": {"gate": "canary"},
            "skip": {"servers": ["a"]},
            "set": {"maxFailures": "10%"},
            "abort": {"rollback": True},
        }.items():
            answer = await client.post(f"{API}/rollouts/web-1/{verb}", json=body)
            assert answer.status_code == 200, answer.text
            assert answer.json()["accepted"] == "accepted"
    assert [verb for _, verb, _ in fleet.orders] == [
        "pause",
        "resume",
        "approve",
        "skip",
        "set",
        "abort",
    ]
    assert {order.actor for _, _, order in fleet.orders} == {"anna"}
    assert fleet.orders[0][2].reason == "lunch"


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        (("/rollouts/web-1/pause", {"drian": True}), 400, "drian"),
        (("/rollouts/web-1/pause", {"drain": "yes"}), 400, "drain"),
        (("/rollouts/web-1/approve", {}), 400, "gate"),
        (("/rollouts/web-1/skip", {"servers": []}), 400, "servers"),
        (("/rollouts/web-1/set", {}), 400, "nothing to set"),
        (("/rollouts/web-1/set", {"maxFailures": "many"}), 400, "not a limit"),
        (("/rollouts/web-1/pause", {"actor": "boss"}), 400, "actor"),
        (("/rollouts/web-1/pause", {"reason": "x" * 501}), 400, "reason"),
        (("/rollouts/nowhere/pause", {}), 404, "nowhere"),
        (("/rollouts/web-1/explode", {}), 404, "not found"),
        (("/rollouts", {}), 400, "either plan or text"),
        (("/rollouts", {"plan": PLAN, "text": "x"}), 400, "either plan or text"),
        (("/rollouts", {"plan": PLAN, "rolloutId": "exec-a"}), 400, "exec-"),
        (("/rollouts", {"plan": PLAN, "rolloutId": "a b"}), 400, "not a rollout id"),
    ],
)
async def test_a_request_that_makes_no_sense_is_one_clear_error(client, fleet, asked, status, said):
    path, body = asked
    answer = await client.post(API + path, json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.text
    assert answer.json()["status"] == status
    assert fleet.orders == []


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b"reason=x", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 200_000, "application/json", 400),
        (b'{"reason": NaN}', "application/json", 400),
        (b"", "application/json", 400),
        (b"{}", "application/json; charset=utf-8", 200),
    ],
)
async def test_a_body_is_one_json_object(client, content, kind, status):
    headers = {"Content-Type": kind} if kind else {}
    answer = await client.post(f"{API}/rollouts/web-1/resume", content=content, headers=headers)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=x", "offset=-1", "open=maybe", "sate=x", "limit=1&limit=2"],
)
async def test_a_query_that_makes_no_sense_is_refused(client, query):
    assert (await client.get(f"{API}/rollouts?{query}")).status_code == 400


@pytest.mark.parametrize(
    "path", ["/rollouts/nowhere", "/rollouts/nowhere/plan", "/rollouts/web-1/servers/z", "/nowhere"]
)
async def test_what_there_is_not_is_not_found(client, path):
    answer = await client.get(API + path)
    assert answer.status_code == 404
    assert answer.json()["title"] == "Not Found"


async def test_while_temporal_is_away_what_was_known_is_answered_and_orders_are_refused(
    client, fleet
):
    await client.get(f"{API}/rollouts/web-1")
    fleet.away = True
    client.app.state.board.expire("web-1")
    shown = await client.get(f"{API}/rollouts/web-1")
    assert (shown.status_code, shown.json()["rolloutId"]) == (200, "web-1")
    assert "does not answer since" in shown.json()["trouble"]
    assert (await client.get(f"{API}/rollouts/other")).status_code == 503
    answer = await client.post(f"{API}/rollouts/web-1/pause", json={})
    assert (answer.status_code, answer.json()["detail"]) == (503, "Temporal does not answer")


async def test_logs_and_fleet_are_read_through_the_facade(client, fleet):
    assert (await client.get(f"{API}/rollouts/web-1/servers/a/logs")).json()["entries"] == []
    page = (await client.get(f"{API}/rollouts/web-1/servers/a/log?stream=stdout")).json()
    assert page["data"] == "aGVsbG8="
    assert (await client.get(f"{API}/fleet")).json()["servers"][0]["queue"] == "web-1"


async def test_who_is_asking_can_be_asked(serve, local):
    async with serve(**local) as client:
        await log_in(client, "otto")
        assert (await client.get(f"{API}/me")).json() == {"name": "otto", "role": "operator"}


async def test_a_bug_is_told_without_its_details(client, rollout, monkeypatch):
    monkeypatch.setattr(rollout, "progress", lambda: Progress(servers="hunter2"))
    answer = await client.get(f"{API}/rollouts/web-1")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "content-security-policy" in answer.headers


async def test_health_says_whether_temporal_could_be_asked(serve, local, fleet):
    async with serve(**local) as client:
        assert (await client.get("/healthz")).text == "ok\n"
        assert (await client.get("/readyz")).status_code == 200
    fleet.away = True
    async with serve(**local) as client:
        assert (await client.get("/healthz")).status_code == 200
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert "temporal.test" not in answer.text


async def test_a_body_with_more_values_than_a_plan_can_have_is_refused_at_once(client):
    many = {f"key-{number}": number for number in range(30_001)}
    for body in (many, {"plan": many}, {"plan": PLAN, "servers": [[1] * 30_001]}):
        answer = await client.post(f"{API}/validate", json=body)
        assert answer.status_code == 413
        assert answer.json()["detail"].startswith("more than 30,000 values")
    few = {"plan": PLAN | {"servers": [f"web-{number}" for number in range(10_000)]}}
    assert (await client.post(f"{API}/validate", json=few)).json()["valid"]


async def test_others_are_answered_while_a_body_is_read(client, monkeypatch):
    read, answered = operations._body, threading.Event()

    def slow(*given):
        assert answered.wait(10), "nobody was answered meanwhile"
        return read(*given)

    monkeypatch.setattr(operations, "_body", slow)
    asked = asyncio.create_task(client.post(f"{API}/validate", json={"plan": PLAN}))
    await asyncio.sleep(0)
    assert (await client.get("/healthz")).status_code == 200
    answered.set()
    assert (await asked).json()["valid"]
