"""Before a rollout starts, servers that nobody serves are named; the look neither fails nor waits for long."""

import asyncio

import pytest

from kitsune.cli import absences
from kitsune.cli.absences import absence_warnings
from kitsune.cli.exits import Exit
from kitsune.cli.main import run_command
from kitsune.errors import ServerUnavailable
from kitsune.rollout.check_groups import ServerCheck
from kitsune.service.presence import Absence
from support.fake_fleet import FakeFleet

SLIP = Absence("wbe-2", known=False, near="web-2")
GONE = Absence("web-9", known=True)
STRANGE = Absence("x", known=False)
MEANT = "no local worker is known for 'wbe-2': did you mean 'web-2'?"


class PartlyThere(FakeFleet):
    """A fleet in which some servers of every plan are absent."""

    absences = (SLIP,)

    async def absent(self, server_ids, *, now):
        self._ask("absent")
        return list(self.absences)

    async def compare(self, plan, *, reveal, patience):
        for server in plan.servers:
            yield ServerCheck(server, trouble="its local worker does not answer", away=True)


@pytest.fixture
def fleet(with_fleet):
    return with_fleet(PartlyThere())


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("servers: [wbe-2]\nsteps: [{name: hi, type: echo, params: {message: hi}}]\n")
    return str(path)


def test_each_kind_of_absence_is_one_sentence_and_the_plan_says_what_follows():
    assert absence_warnings([SLIP, GONE, STRANGE], rule="a server that is silent has failed") == [
        MEANT,
        "no local worker is known for x",
        "no local worker answers for web-9",
        "the plan's rule for that: a server that is silent has failed",
    ]


def test_where_all_are_there_nothing_is_said():
    assert absence_warnings([], rule="whatever") == []


def test_many_absences_stay_a_few_lines():
    many = [Absence(f"s{n}", known=False, near="web-1") for n in range(40)]
    assert len(absence_warnings(many)) == 6
    assert "35" not in absence_warnings(many)[0]
    assert absence_warnings(many)[-1].endswith("s5, s6, s7, s8, s9 and 30 more")


def test_a_run_says_it_before_it_starts(fleet, plan, capfd):
    assert run_command(["run", plan, "--detach", "--id", "web-1"]) is Exit.OK
    said = capfd.readouterr().err.splitlines()
    assert any(MEANT in line for line in said)
    assert any("a server that is silent for 1m has failed" in line for line in said)
    assert said[-1] == "started web-1"
    assert fleet.calls.index("absent") < fleet.calls.index("start")


@pytest.mark.parametrize("trouble", ["fails", "hangs"])
def test_a_look_that_fails_or_hangs_holds_no_run_up(fleet, plan, capfd, monkeypatch, trouble):
    async def absent(_servers, *, now):
        if trouble == "fails":
            raise ServerUnavailable("gone")
        await asyncio.sleep(60)

    monkeypatch.setattr(fleet, "absent", absent)
    monkeypatch.setattr(absences, "_PATIENCE", 0.01)
    assert run_command(["run", plan, "--detach", "--id", "web-1"]) is Exit.OK
    said = capfd.readouterr().err
    assert "started web-1" in said
    assert "gone" not in said


def test_a_preview_looks_only_when_it_is_asked_to(fleet, plan, capfd):
    assert run_command(["preview", plan]) is Exit.OK
    assert MEANT not in capfd.readouterr().out
    assert fleet.calls == []
    assert run_command(["preview", plan, "--check-servers"]) is Exit.OK
    assert MEANT in capfd.readouterr().out


def test_a_diff_says_it_before_it_asks(fleet, plan, capfd):
    run_command(["diff", plan])
    assert capfd.readouterr().err.splitlines()[0] == MEANT
