from datetime import timedelta

from kitsune.dashboard.views.events import events_of
from kitsune.dashboard.views.failures import failures_of
from kitsune.dashboard.views.grid import grid_of, size_of
from kitsune.dashboard.views.picture import picture_of
from kitsune.dashboard.views.servers import names_of, table_of
from kitsune.dashboard.views.timeline import WIDTH, timeline_of
from kitsune.models.orders import OrderRecord
from support.rollouts import NOW, START, make_plan, make_progress, make_row


def _picture(plan, states, **changes):
    return picture_of(make_row(), progress=make_progress(plan, states, **changes), plan=plan)


def test_a_grid_has_one_cell_for_each_server_in_the_order_of_batches():
    plan = make_plan(5, type="Rolling", batchSize=2)
    groups = grid_of(_picture(plan, ["succeeded", "failed", "running"]))
    assert [group.title for group in groups] == ["Batch 1", "Batch 2", "Batch 3"]
    assert groups[0].cells == (("s", "web-1"), ("f", "web-2"))
    assert groups[1].cells == (("r", "web-3"), ("p", "web-4"))


def test_very_many_batches_share_groups_but_no_server_is_lost():
    plan = make_plan(1000, type="Sequential")
    picture = _picture(plan, ["succeeded"] * 10)
    groups = grid_of(picture)
    assert len(groups) <= 60
    assert groups[0].title == "Batches 1 to 17"
    names = [name for group in groups for _, name in group.cells]
    assert names == plan.servers == names_of(picture, as_in_grid=True)


def test_cells_are_large_where_there_is_room_for_names():
    assert size_of(_picture(make_plan(60), [])) == "large"
    assert size_of(_picture(make_plan(61), [])) == "middle"
    assert size_of(_picture(make_plan(801), [])) == "small"


def test_where_no_worker_answers_cells_are_not_known():
    group = grid_of(picture_of(make_row(), plan=make_plan(2)))[0]
    assert group.cells == (("x", "web-1"), ("x", "web-2"))


def test_failures_are_grouped_by_cause_the_most_frequent_first():
    details = {
        "web_1": {"error": "step 'work': exit code 1 in /srv/a/1", "failed_step": "work"},
        "web_2": {"error": "no space left on device", "rolled_back": True},
        "web_3": {"error": "step 'work': exit code 1 in /srv/b/2", "failed_step": "work"},
        "web_4": {"error": "step 'work': asked", "failed_step": "work"},
    }
    states = ["failed", "failed", "failed", "held"]
    found = failures_of(_picture(make_plan(4), states, details=details))
    assert [(f.count, f.servers, f.undone) for f in found.shown] == [
        (2, ("web-1", "web-3"), 0),
        (1, ("web-2",), 1),
    ]


def test_an_error_cannot_hide_anything_on_the_page():
    details = {"web_1": {"error": "bad \x1b[2J\u202e name"}}
    found = failures_of(_picture(make_plan(1), ["failed"], details=details))
    assert found.shown[0].text == "bad \\x1b[2J\\u202e name"


def test_a_table_is_filtered_searched_and_paged():
    picture = _picture(make_plan(250), ["failed"] * 120)
    table = table_of(picture, {"state": "failed", "page": "2"}, now=NOW)
    assert (table.matching, table.page, table.pages, len(table.rows)) == (120, 2, 2, 20)
    assert table_of(picture, {"q": "WEB-25"}, now=NOW).matching == 2
    for nonsense in ("-1", "9" * 50, "x", "\u0663"):
        assert table_of(picture, {"page": nonsense}, now=NOW).page in (1, 3)


def test_names_can_be_copied_by_state():
    picture = _picture(make_plan(3), ["failed", "succeeded", "failed"])
    assert names_of(picture, state="failed") == ["web-1", "web-3"]
    assert names_of(picture, state="failed", search=" WEB-3") == ["web-3"]


def test_a_timeline_places_bars_on_one_scale():
    plan = make_plan(4, type="Rolling", batchSize=2)
    picture = _picture(plan, ["succeeded", "failed", "running", "pending"])
    line = timeline_of(picture, now=NOW)
    assert [bar.title for bar in line.batches] == ["Batch 1", "Batch 2"]
    assert [bar.server for bar in line.servers] == ["web-1", "web-2", "web-3"]
    for bar in (*line.batches, *line.servers):
        assert 0 <= bar.x < bar.x + bar.width <= WIDTH + 3
    assert line.servers[2].open
    assert line.batches[0].look.word == "failed"
    assert line.ticks == ((0, "0:00"), (250, "2:30"), (500, "5:00"), (750, "7:30"))


def test_the_ticks_of_a_short_timeline_differ():
    plan = make_plan(1)
    picture = _picture(plan, ["running"])
    line = timeline_of(picture, now=START + timedelta(seconds=2))
    assert [text for _, text in line.ticks] == ["0.0s", "0.5s", "1.0s", "1.5s"]


def test_a_table_says_once_that_a_server_is_rolled_back():
    details = {"web_1": {"rolled_back": True}, "web_2": {"rolled_back": True}}
    details |= {"web_3": {"rollback_failed": True}}
    picture = _picture(make_plan(3), ["succeeded", "failed", "failed"], details=details)
    rows = table_of(picture, {}, now=NOW).rows
    assert [(row.look.word, row.remark) for row in rows] == [
        ("rolled back", ""),
        ("failed", "rolled back"),
        ("rollback failed", ""),
    ]


def test_a_timeline_of_a_large_fleet_keeps_those_that_failed():
    states = ["succeeded"] * 500 + ["failed"]
    line = timeline_of(_picture(make_plan(501), states), now=NOW)
    assert len(line.servers) == 200
    assert line.more == 301
    assert any(bar.server == "web-501" for bar in line.servers)


def test_nothing_begun_is_no_timeline():
    assert timeline_of(_picture(make_plan(2), []), now=NOW) is None


def test_events_tell_who_ordered_what_and_why():
    order = OrderRecord(verb="pause", actor="anna", reason="slow", at=NOW, detail="draining")
    plan = make_plan(3, type="Sequential")
    details = {"web_1": {"error": "exit code 1\nmore"}}
    picture = _picture(plan, ["failed", "running"], orders=[order], details=details)
    events = events_of(picture)
    assert [event.at for event in events] == sorted((e.at for e in events), reverse=True)
    assert (events[0].text, events[0].actor, events[0].reason) == ("pause draining", "anna", "slow")
    texts = [event.text for event in events]
    assert "failed: exit code 1" in texts
    assert "Batch 1 done, 1 server, 1 not well" in texts
    assert texts[-1] == "started on 3 servers"


def test_events_are_bounded():
    details = {f"web_{n}": {"error": "x"} for n in range(1, 1001)}
    picture = _picture(make_plan(1000), ["failed"] * 1000, details=details)
    assert len(events_of(picture)) == 300
    assert events_of(picture)[0].at > events_of(picture)[-1].at - timedelta(seconds=1)
