from datetime import timedelta

from kitsune.dashboard.views.lists import rollouts_page
from kitsune.dashboard.views.times import ago, clock, lasted
from kitsune.dashboard.views.workers import fleet_page
from kitsune.service.listing import FleetRows, WorkerRow
from support.rollouts import NOW, START, make_row

ROWS = [
    make_row("web-1", gate="canary", counts={"succeeded": 1}),
    make_row("db-1", state="succeeded", open=False, ended_at=NOW),
    make_row("db-2", state="stopped", open=False, ended_at=NOW, rollback_failed=1),
    make_row("db-3", state="refused", open=False, ended_at=NOW, counts={}, total=None),
]


def _ids(page):
    return [line.rollout_id for line in (*page.running, *page.ended)]


def test_what_runs_stands_apart():
    page = rollouts_page(ROWS, {}, now=NOW)
    assert [line.rollout_id for line in page.running] == ["web-1"]
    assert [line.rollout_id for line in page.ended] == ["db-1", "db-2", "db-3"]
    assert page.running[0].wants == "gate canary waits for approval"


def test_filters_stand_in_the_address_and_count_what_they_hold():
    page = rollouts_page(ROWS, {"state": "failed", "q": "db"}, now=NOW)
    assert _ids(page) == ["db-2", "db-3"]
    chips = {chip.label: (chip.url, chip.count, chip.chosen) for chip in page.chips}
    assert chips["Failed or stopped"] == ("/rollouts?state=failed&q=db", 2, True)
    assert chips["Needs a person"] == ("/rollouts?state=attention&q=db", 1, False)


def test_an_unknown_filter_is_none():
    assert rollouts_page(ROWS, {"state": "<b>"}, now=NOW).chosen == ""


def _worker(queue, *, seconds=1, state="online", version="1.0"):
    heard = NOW - timedelta(seconds=seconds)
    return WorkerRow(queue, f"1@{queue}", f"{queue}.example", version, heard, state)


def test_a_fleet_page_says_what_is_odd():
    rows = FleetRows(
        [_worker("a"), _worker("b", version="0.9"), _worker("c", state="silent", seconds=300)],
        [_worker("execution-orchestrator", state="stopped")],
    )
    page = fleet_page(rows, {}, now=NOW)
    assert [line.odd_version for line in page.servers] == [False, True, False]
    assert page.servers[2].heard == "5 min ago"
    assert page.remarks == (
        "No orchestration worker is online: rollouts wait. Start one with `kitsune orchestration-worker`.",
        "c reported nothing for 90 seconds.",
        "b runs another version than 1.0.",
    )


def test_a_fleet_is_filtered_and_bounded():
    rows = FleetRows([_worker(f"web-{n:04}") for n in range(1000)], [_worker("o")])
    page = fleet_page(rows, {}, now=NOW)
    assert (len(page.servers), page.matching, page.more) == (500, 1000, 500)
    assert fleet_page(rows, {"q": "0007"}, now=NOW).matching == 1
    assert fleet_page(rows, {"state": "silent"}, now=NOW).matching == 0


def test_times_are_short():
    assert ago(NOW - timedelta(seconds=59), NOW) == "59 s ago"
    assert ago(NOW - timedelta(days=3), NOW) == "3 d ago"
    assert ago(NOW + timedelta(seconds=5), NOW) == "0 s ago"
    assert clock(timedelta(seconds=3725)) == "1:02:05"
    assert lasted(START, START + timedelta(seconds=0.44)) == "0.4s"
    assert lasted(START, START + timedelta(minutes=3, seconds=5)) == "3m 5s"
    assert lasted(None, NOW) == ""
