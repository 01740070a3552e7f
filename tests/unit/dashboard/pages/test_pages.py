import asyncio
import base64
import gzip
import html
import re
import threading
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from kitsune.dashboard.pages import new, server
from kitsune.errors import ServerUnavailable
from kitsune.models.logs import LogPage
from kitsune.models.orders import Gate
from kitsune.models.plan import Plan
from kitsune.models.results import StepOutcome
from kitsune.service.listing import FleetRows, WorkerRow
from kitsune.service.server_steps import ServerLook, StepAtWork
from support.rollouts import (
    NOW,
    StandInBoard,
    StandInFleet,
    ended,
    make_plan,
    make_row,
    running,
)

EVIL = "<script>alert(1)</script>"
#: Attributes whose address a page asks for, or leads to.
ADDRESSES = ("href", "src", "action", "data-stream")
VIEWS = ("", "?view=servers", "?view=timeline", "?view=plan", "?view=events", "?part=live&grid=1")


class Page(HTMLParser):
    """A page as a browser without style and script reads it."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.ids, self.scripts = [], [], 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]


PRINTED = f"one {EVIL}\n\x1b[31mtwo\x1b[0m\n".encode()


def _log(*, offset, **asked):
    data = base64.b64encode(PRINTED[offset : offset + 10]).decode()
    whole = base64.b64encode(PRINTED).decode()
    cut = asked["stream"] == "stdout"
    return LogPage(
        server_id="web-1", step=EVIL, data=data if cut else whole, offset=offset, size=len(PRINTED)
    )


def _world():
    plan = make_plan(4, name=EVIL, type="Rolling", batchSize=2, approval="everyBatch")
    details = {
        "web_1": {"error": f"step 'x': {EVIL}", "failed_step": EVIL},
        "web_3": {"error": EVIL, "failed_step": EVIL},
    }
    first = running(
        plan,
        ["failed", "succeeded", "held", "running"],
        row={"name": EVIL, "origin": EVIL},
        details=details,
        gate=Gate(id="batch-1", opened_at=NOW),
        warnings=[EVIL],
    )
    second = ended(make_plan(2, name=EVIL), ["succeeded", "failed"], rollout_id="done", reason=EVIL)
    at_work = StepAtWork(EVIL, 0, "script", NOW, said={"stdout": EVIL}, last_failure=EVIL)
    done = StepOutcome(
        name=EVIL, success=False, error=EVIL, outputs={EVIL: EVIL, "stderr": {"text": EVIL}}
    )
    worker = WorkerRow(EVIL, EVIL, EVIL, EVIL, NOW, "online")
    fleet = StandInFleet(
        workers=FleetRows([worker], [worker]),
        looks={"web-4": ServerLook(at_work=at_work), "web-1": ServerLook((done,))},
        log=_log,
    )
    return StandInBoard(first, second, rows=[first.row, second.row]), fleet


PATHS = [
    "/rollouts",
    "/rollouts?part=live",
    "/rollouts/none",
    "/rollouts/web-1a/servers/none",
    *(f"/rollouts/web-1a{view}" for view in VIEWS),
    "/rollouts/done",
    "/rollouts/web-1a/servers/web-1",
    "/rollouts/web-1a/servers/web-4?part=live",
    "/rollouts/web-1a/servers/web-1/log?step=1&stream=stderr",
    "/fleet",
    "/rollouts/new",
]


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_holds_nothing_inline_nothing_from_elsewhere_and_no_markup_of_others(
    open_pages, path
):
    answer = await open_pages(*_world()).get(path)
    assert answer.status_code == (404 if path.endswith("none") else 200)
    assert EVIL not in answer.text
    page = Page(answer.text)
    for tag, attributes in page.tags:
        assert tag != "style"
        assert tag != "script" or attributes.get("src", "").startswith("/static/")
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        for name in ADDRESSES:
            address = attributes.get(name) or "/"
            assert re.match(r"(/(?!/)|#|\?)", address), address
    assert len(set(page.ids)) == len(page.ids), "ids are used once"


async def test_the_first_page_is_the_list_of_rollouts(open_pages):
    answer = await open_pages(*_world()).get("/")
    assert "<h1>Rollouts</h1>" in answer.text


async def test_trouble_is_said_on_the_page_with_the_last_known_state(open_pages):
    board, fleet = _world()
    board.trouble = "Temporal at 127.0.0.1:7233 does not answer since 12:03:11 UTC"
    text = (await open_pages(board, fleet).get("/rollouts")).text
    assert board.trouble in text
    assert "web-1a" in text
    assert "As of" in text


async def test_a_cell_leads_to_its_server(open_pages):
    pages = open_pages(*_world())
    assert '<a class=f href="?s=web-1">web-1</a>' in (await pages.get("/rollouts/web-1a")).text
    answer = await pages.get("/rollouts/web-1a?s=web-1")
    assert answer.headers["location"] == "/rollouts/web-1a/servers/web-1"
    assert (
        (await pages.get("/rollouts/web-1a?s=//evil.example/"))
        .headers["location"]
        .startswith("/rollouts/web-1a/servers/%2F%2Fevil")
    )


@pytest.mark.parametrize(
    "rollout_id", ["team/web 2", "100%", "a%2Fb", "new", "..", "?x#y", "Füchse", "a/servers/b"]
)
async def test_whatever_id_temporal_allows_has_pages_and_orders(open_pages, rollout_id):
    snapshot = running(make_plan(2), ["running"], rollout_id=rollout_id)
    board, fleet = StandInBoard(snapshot, rows=[snapshot.row]), StandInFleet()
    pages = open_pages(board, fleet)
    shown = Page((await pages.get("/rollouts")).text)
    (link,) = [attrs["href"] for _, attrs in shown.tags if attrs.get("class") == "go"]
    answer = await pages.get(link)
    assert f"<h1>{html.escape(rollout_id)}</h1>" in answer.text
    for tab in ("servers", "timeline", "plan", "events"):
        assert f'href="{link}?view={tab}"' in answer.text
    assert (await pages.get(f"{link}/servers.txt")).text == "web-1\nweb-2\n"
    assert (await pages.get(f"{link}/servers/web-1")).status_code == 200
    assert (await pages.get(f"/api/v1{link}")).json()["rolloutId"] == rollout_id
    forms = [attrs.get("action") for tag, attrs in Page(answer.text).tags if tag == "form"]
    assert f"{link}/pause" in forms
    done = await pages.post(f"{link}/pause", data={})
    assert done.headers["location"] == link
    assert [(verb, about) for verb, about, _ in fleet.orders] == [("pause", rollout_id)]


async def test_servers_of_a_rollout_are_searched_without_javascript(open_pages):
    pages = open_pages(*_world())
    found = Page((await pages.get("/rollouts/web-1a?view=servers&q=EB-3")).text)
    links = [attributes.get("href", "") for _, attributes in found.tags]
    assert {link for link in links if "/servers/" in link} == {"/rollouts/web-1a/servers/web-3"}
    assert "/rollouts/web-1a?view=servers&state=failed&q=EB-3" in links, "a filter keeps the search"
    assert "/rollouts/web-1a/servers.txt?q=EB-3" in links
    assert (await pages.get("/rollouts/web-1a/servers.txt?q=EB-3")).text == "web-3\n"


async def test_the_fleet_is_searched_without_javascript(open_pages):
    rows = [WorkerRow(f"web-{n}", f"1@{n}", f"{n}.test", "1", NOW, "online") for n in (1, 2)]
    pages = open_pages(StandInBoard(), StandInFleet(workers=FleetRows(rows, [])))
    for part in ("", "&part=live"):
        text = (await pages.get(f"/fleet?q=WEB-2{part}")).text
        assert ("web-2" in text, "web-1" in text) == (True, False)
        assert 'href="/fleet?state=online&amp;q=WEB-2"' in text
        assert ("<h1>" in text) is not bool(part)


async def test_servers_can_be_had_as_a_list(open_pages):
    answer = await open_pages(*_world()).get("/rollouts/web-1a/servers.txt?state=failed")
    assert answer.text == "web-1\n"
    assert answer.headers["content-type"].startswith("text/plain")


async def test_ten_thousand_servers_are_a_small_page(open_pages):
    plan = make_plan(10_000, type="Rolling", batchSize="10%")
    states = ["succeeded"] * 5000 + ["failed", "running"] * 500
    details = {f"web_{n}": {"error": f"exit code 1 in /srv/{n}"} for n in range(5001, 6001)}
    snapshot = running(plan, states, rollout_id="big", details=details)
    pages = open_pages(StandInBoard(snapshot), StandInFleet())
    answer = await pages.get("/rollouts/big")
    assert len(re.findall(r"<i class=\w></i>", answer.text)) == 10_000
    assert len(answer.content) < 220_000
    assert len(gzip.compress(answer.content)) < 12_000
    assert len((await pages.get("/rollouts/big?part=live")).content) < 40_000
    assert len((await pages.get("/rollouts/big/servers.txt?order=grid")).text.split()) == 10_000
    for view in VIEWS[1:5]:
        assert len((await pages.get(f"/rollouts/big{view}")).content) < 150_000


async def test_an_order_is_given_in_the_users_name_and_its_answer_is_shown_once(open_pages):
    board, fleet = _world()
    pages = open_pages(board, fleet)
    answer = await pages.post("/rollouts/web-1a/pause", data={"reason": "slow", "drain": "true"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/rollouts/web-1a"
    ((verb, rollout_id, order),) = fleet.orders
    assert (verb, rollout_id) == ("pause", "web-1a")
    assert (order.reason, order.drain) == ("slow", True)
    assert order.actor == pages.app.state.identity.user_of(None).display_name
    assert board.expired == ["web-1a"]
    assert "pause: done" in (await pages.get("/rollouts/web-1a")).text
    assert "pause: done" not in (await pages.get("/rollouts/web-1a")).text


async def test_an_order_that_makes_no_sense_is_refused_in_words(open_pages):
    board, fleet = _world()
    pages = open_pages(board, fleet)
    (await pages.post("/rollouts/web-1a/dance"))
    assert "not an order" in (await pages.get("/rollouts/web-1a")).text
    assert fleet.orders == []


async def test_what_was_not_typed_is_not_done(open_pages):
    board, fleet = _world()
    pages = open_pages(board, fleet)
    (await pages.post("/rollouts/done/rollback", data={"confirm": "yes"}))
    assert "not done: to agree to rollback, type done" in (await pages.get("/rollouts/done")).text


async def test_orders_are_not_given_by_following_a_link(open_pages):
    board, fleet = _world()
    assert (await open_pages(board, fleet).get("/rollouts/web-1a/pause")).status_code in (404, 405)
    assert fleet.orders == []


async def test_a_foreign_flash_is_text(open_pages):
    pages = open_pages(*_world())
    pages.cookies.set("kitsune-flash", "%5B%22%3Cb%3Ehi%22%2C%22ok%22%5D")
    assert "&lt;b&gt;hi" in (await pages.get("/rollouts")).text
    pages.cookies.set("kitsune-flash", "nonsense")
    assert (await pages.get("/rollouts")).status_code == 200


async def test_a_log_is_searched_without_javascript(open_pages):
    pages = open_pages(*_world())
    url = "/rollouts/web-1a/servers/web-1/log?step=1&stream=stderr"
    assert '<span class="a-f-red">two</span>' in (await pages.get(url)).text
    found = (await pages.get(f"{url}&q=TWO")).text
    assert "two" in found
    assert "one &lt;" not in found


async def test_a_log_is_downloaded_as_bytes_that_no_browser_draws(open_pages):
    pages = open_pages(*_world())
    answer = await pages.get("/rollouts/web-1a/servers/web-1/log.txt?step=1&stream=stdout")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.content == PRINTED


@pytest.mark.parametrize(
    "query", ["", "step=0&stream=stdout", "step=1&stream=x", "step=1&stream=stdout&offset=a"]
)
async def test_a_log_that_there_cannot_be_is_refused(open_pages, query):
    answer = await open_pages(*_world()).get(f"/rollouts/web-1a/servers/web-1/log?{query}")
    assert answer.status_code == 400


PLAN = "name: hello\nservers: [a, b]\nsteps:\n- {name: x, type: echo, params: {message: hi}}\n"


async def test_a_plan_is_previewed_then_started_when_its_name_is_typed(open_pages):
    board, fleet = _world()
    pages = open_pages(board, fleet)
    shown = await pages.post("/rollouts/new/preview", data={"plan": PLAN, "id": "my-id"})
    assert shown.status_code == 200
    assert "Runs 1 step on 2 servers" in shown.text
    assert "kitsune run plan.yaml --id my-id" in shown.text
    assert fleet.started == []
    wrong = await pages.post(
        "/rollouts/new", data={"plan": PLAN, "id": "my-id", "confirm": "hallo"}
    )
    assert wrong.status_code == 422
    assert fleet.started == []
    right = await pages.post(
        "/rollouts/new", data={"plan": PLAN, "id": "my-id", "confirm": "hello"}
    )
    assert right.headers["location"] == "/rollouts/my-id"
    ((rollout_id, wire, actor),) = fleet.started
    assert rollout_id == "my-id"
    assert actor == pages.app.state.identity.user_of(None).display_name
    assert Plan.model_validate(wire).servers == ["a", "b"]


async def test_a_plan_may_come_as_a_file(open_pages):
    pages = open_pages(*_world())
    file = {"upload": ("release.yaml", PLAN.encode(), "application/yaml")}
    text = (await pages.post("/rollouts/new/preview", files=file, data={"plan": ""})).text
    assert "kitsune run release.yaml" in text


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ("", "there is no plan"),
        ("name: [", "plan"),
        (PLAN.replace("echo", "ecko"), "did you mean &#39;echo&#39;?"),
        (f"name: '{EVIL}'\n", "required, but missing"),
    ],
)
async def test_a_plan_that_is_wrong_is_shown_with_its_problems(open_pages, plan, says):
    answer = await open_pages(*_world()).post("/rollouts/new/preview", data={"plan": plan})
    assert answer.status_code == 422
    assert says in answer.text
    assert EVIL not in answer.text


async def test_a_file_that_is_no_text_is_refused(open_pages):
    file = {"upload": ("x.yaml", b"\xff\xfe\x00", "application/yaml")}
    answer = await open_pages(*_world()).post("/rollouts/new/preview", files=file)
    assert answer.status_code == 422
    assert "not UTF-8" in answer.text


async def test_a_bad_id_is_refused_before_anything_starts(open_pages):
    board, fleet = _world()
    data = {"plan": PLAN, "id": "exec-a", "confirm": "hello"}
    answer = await open_pages(board, fleet).post("/rollouts/new", data=data)
    assert answer.status_code == 422
    assert fleet.started == []


async def test_a_rollout_that_never_said_anything_has_a_page(open_pages):
    from kitsune.dashboard.snapshots import Snapshot

    bare = Snapshot(make_row("bare", total=None), NOW, trouble="no orchestration worker answers")
    text = (await open_pages(StandInBoard(bare), StandInFleet()).get("/rollouts/bare")).text
    assert "no orchestration worker answers" in text
    assert "Which servers it runs on is not known yet." in text


class _AwayFleet(StandInFleet):
    """Answers once about a server, and then no more."""

    asked = 0

    async def server_look(self, rollout_id, server_id):
        self.asked += 1
        if self.asked > 1:
            raise ServerUnavailable("Temporal has stopped answering")
        return await super().server_look(rollout_id, server_id)


async def test_what_was_known_of_a_server_outlives_temporal(open_pages, monkeypatch):
    board, fleet = _world()
    away = _AwayFleet(looks=fleet.looks)
    monkeypatch.setattr(server, "_FRESH", timedelta(0))
    pages = open_pages(board, away)
    first = (await pages.get("/rollouts/web-1a/servers/web-4")).text
    again = (await pages.get("/rollouts/web-1a/servers/web-4")).text
    assert away.asked == 2
    assert first.count("the last lines so far") == again.count("the last lines so far") == 1
    assert "Temporal has stopped answering" in again


async def test_however_many_look_at_a_server_it_is_asked_for_once(open_pages):
    board, fleet = _world()
    away = _AwayFleet(looks=fleet.looks)
    pages = open_pages(board, away)
    answers = await asyncio.gather(
        *(pages.get("/rollouts/web-1a/servers/web-4?part=live") for _ in range(5))
    )
    assert away.asked == 1
    assert all("the last lines so far" in answer.text for answer in answers)


async def test_a_log_that_goes_on_is_followed_and_one_that_has_ended_is_not(open_pages):
    board, fleet = _world()
    ended_log = fleet.log
    pages = open_pages(board, fleet)
    url = "/rollouts/web-1a/servers/web-1/log?step=1&stream=stderr"
    assert "data-every" not in (await pages.get(url)).text
    fleet.log = lambda **asked: ended_log(**asked).model_copy(update={"ended": False})
    assert 'data-every="2000"' in (await pages.get(url)).text
    assert "data-over" not in (await pages.get(f"{url}&part=live")).text


async def test_others_are_answered_while_a_plan_is_checked(open_pages, monkeypatch):
    check, answered = new._examine, threading.Event()

    def slow(*given):
        assert answered.wait(10), "nobody was answered meanwhile"
        check(*given)

    monkeypatch.setattr(new, "_examine", slow)
    pages = open_pages(*_world())
    asked = asyncio.create_task(pages.post("/rollouts/new/preview", data={"plan": PLAN}))
    await asyncio.sleep(0)
    assert (await pages.get("/fleet")).status_code == 200
    answered.set()
    assert "Runs 1 step on 2 servers" in (await asked).text
