"""Tab offers what there is, remembers it for a moment, and never says that something went wrong."""

import click
import pytest

from kitsune.cli import completing
from kitsune.cli.completing import open_rollouts, plan_files, rollouts, servers
from kitsune.cli.main import kitsune
from kitsune.models.plan import Plan
from kitsune.service.listing import FleetRows, RolloutRow, WorkerRow


class FakeFleet:
    """Knows two rollouts and two servers."""

    def __init__(self, noon):
        self.noon, self.asked = noon, []

    async def rollouts(self, *, limit, query=None):
        self.asked.append(query)
        return [
            RolloutRow(name, "web", "running", True, {}, 0, 2, self.noon, None)
            for name in ("web-2", "web-1")
        ]

    async def plan_of(self, rollout_id):
        return Plan.model_validate(
            {"servers": ["a-1", "a-2"], "steps": [{"name": "x", "type": "echo"}]}
        )

    async def servers(self, *, now):
        return FleetRows([WorkerRow("db-1", "1@db-1", "h", "1", self.noon, "online")])


@pytest.fixture
def fleet(noon, monkeypatch, tmp_path):
    fleet = FakeFleet(noon)

    async def asked(_ctx, ask):
        return await ask(fleet)

    monkeypatch.setattr(completing, "_asked", asked)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return fleet


def offered(complete, incomplete="", **params):
    context = click.Context(click.Command("x"))
    context.params = params
    return [item.value for item in complete(context, None, incomplete)]


def test_rollouts_are_offered_by_what_was_typed(fleet):
    assert offered(rollouts) == ["web-2", "web-1"]
    assert offered(rollouts, "web-1") == ["web-1"]
    assert offered(rollouts, "db") == []


def test_only_rollouts_that_run_are_offered_to_orders(fleet):
    offered(open_rollouts)
    assert fleet.asked == ["ExecutionStatus = 'Running'"]


@pytest.mark.parametrize(
    "name", ["$(reboot)", "`reboot`", "x;reboot", "*", "a b", "web-1\nplain,x", "-o", "\x1b[2J", ""]
)
def test_a_name_that_a_shell_would_obey_is_not_offered(fleet, monkeypatch, noon, name):
    async def hostile(**_):
        return [
            RolloutRow(of, "web\nplain\nx", "running", True, {}, 0, 2, noon, None)
            for of in (name, "web-1")
        ]

    monkeypatch.setattr(fleet, "rollouts", hostile)
    (item,) = rollouts(click.Context(click.Command("x")), None, "")
    assert (item.value, item.help) == ("web-1", "running web\\nplain\\nx")


def test_servers_are_those_of_the_rollout_or_all(fleet):
    assert offered(servers, rollout_id="web-1") == ["a-1", "a-2"]
    assert offered(servers) == ["db-1"]


def test_an_answer_is_remembered_for_a_moment_and_by_place(fleet, monkeypatch):
    for _ in range(3):
        offered(rollouts)
    assert len(fleet.asked) == 1
    offered(rollouts, address="elsewhere:7233")
    assert len(fleet.asked) == 2
    monkeypatch.setattr(completing, "_FRESH", 0.0)
    offered(rollouts)
    assert len(fleet.asked) == 3


@pytest.mark.parametrize("trouble", [OSError("no"), TimeoutError(), KeyError("x")])
def test_whatever_goes_wrong_is_silence(fleet, monkeypatch, capfd, trouble):
    async def asked(_ctx, _ask):
        raise trouble

    monkeypatch.setattr(completing, "_asked", asked)
    assert offered(rollouts) == []
    assert capfd.readouterr() == ("", "")


def test_a_cache_that_cannot_be_written_changes_nothing(fleet, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert offered(rollouts) == ["web-2", "web-1"]


def test_plan_files_are_the_shells_business():
    (item,) = plan_files(click.Context(click.Command("x")), None, "pl")
    assert (item.value, item.type) == ("pl", "file")


def test_commands_are_offered_without_importing_them():
    context = click.Context(kitsune)
    assert [item.value for item in kitsune.shell_complete(context, "re")] == [
        "report",
        "resume",
        "retry",
    ]
