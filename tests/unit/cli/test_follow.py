"""Following goes on through lost contact, says so once, and ends with the rollout."""

import asyncio

import pytest

from kitsune.cli import follow as module
from kitsune.cli.follow import follow
from kitsune.errors import NotFound, ServerUnavailable
from kitsune.service.fleet import Look
from kitsune.service.outcomes import CutShort, Finished
from kitsune.service.running import RunningStep


class FakeFleet:
    """Answers looks from a script; an exception in it is raised."""

    address = "localhost:7233"

    def __init__(self, looks, outcomes):
        self.looks, self.outcomes = list(looks), list(outcomes)
        self.asked = []

    async def look(self, *_):
        return _said(self.looks.pop(0))

    async def outcome(self, *_):
        return _said(self.outcomes.pop(0))

    async def running_steps(self, _, server_ids):
        self.asked.append(list(server_ids))
        return {name: RunningStep(server_id=name, step="1/1 x") for name in server_ids}


class FakeView:
    """Keeps what it is shown."""

    def __init__(self, *, wants=()):
        self.shown, self.notes, self.steps, self._wants = [], [], [], list(wants)

    def show(self, progress):
        self.shown.append(progress)

    def wanted(self, *_):
        return self._wants

    def show_steps(self, steps):
        self.steps.append(steps)

    def note(self, text, *, passing):
        self.notes.append((text, passing))

    def close(self):
        pass


def _said(answer):
    if isinstance(answer, Exception):
        raise answer
    return answer


AWAY = ServerUnavailable("away")
ENDED = Look(open=False, progress=None)
SILENT = Look(open=True, progress=None)
CUT = CutShort(state="terminated", message="gone")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(module, "_PAUSE", 0)
    monkeypatch.setattr(module, "_LONGEST_PAUSE", 0)


async def test_following_shows_each_look_and_returns_the_end(progress_of, result_of, ended):
    looks = [Look(open=True, progress=progress_of({"a": "running"})), ENDED]
    view = FakeView()
    end = Finished(result_of(ended("a")))
    assert await follow(FakeFleet(looks, [end]), "web-1", view=view) is end
    assert [look.servers[0].state for look in view.shown] == ["running", "succeeded"]
    assert view.notes == []


async def test_lost_contact_is_said_once_and_so_is_its_return(progress_of):
    going = Look(open=True, progress=progress_of({"a": "running"}))
    view = FakeView()
    await follow(FakeFleet([going, AWAY, AWAY, AWAY, going, ENDED], [CUT]), "web-1", view=view)
    assert view.notes == [
        ("lost contact with Temporal at localhost:7233, retrying", False),
        ("contact restored", True),
    ]


async def test_a_silent_orchestrator_is_told_apart_from_a_lost_temporal(progress_of):
    going = Look(open=True, progress=progress_of({"a": "running"}))
    view = FakeView()
    await follow(FakeFleet([SILENT, SILENT, AWAY, going, ENDED], [CUT]), "web-1", view=view)
    assert [text.split(" since")[0] for text, _ in view.notes] == [
        "no orchestration worker answers",
        "lost contact with Temporal at localhost:7233, retrying",
        "contact restored",
    ]


async def test_contact_lost_while_asking_for_the_end_is_only_a_pause():
    fleet = FakeFleet([ENDED, ENDED], [AWAY, CUT])
    assert await follow(fleet, "web-1", view=FakeView()) is CUT


async def test_an_unknown_rollout_ends_the_following():
    with pytest.raises(NotFound):
        await follow(FakeFleet([NotFound("no such")], []), "web-1", view=FakeView())


async def test_somebody_who_joins_after_the_end_is_told_no_old_news(result_of, ended):
    view = FakeView()
    await follow(FakeFleet([ENDED], [Finished(result_of(ended("a")))]), "web-1", view=view)
    assert view.shown == []


async def test_only_the_steps_that_a_view_shows_are_asked_for(progress_of):
    going = Look(open=True, progress=progress_of({"a": "running", "b": "running"}))
    fleet, view = FakeFleet([going, ENDED], [CUT]), FakeView(wants=["b"])
    await follow(fleet, "web-1", view=view)
    assert fleet.asked == [["b"]]
    assert list(view.steps[0]) == ["b"]


async def test_following_can_be_cancelled(progress_of, monkeypatch):
    monkeypatch.setattr(module, "_PAUSE", 3600)
    monkeypatch.setattr(module, "_LONGEST_PAUSE", 3600)
    going = Look(open=True, progress=progress_of({"a": "running"}))
    view = FakeView()
    task = asyncio.create_task(follow(FakeFleet([going], []), "web-1", view=view))
    while not view.shown:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
