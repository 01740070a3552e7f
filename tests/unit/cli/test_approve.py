"""An approval that does not fit says which gates there are, which one waits, and what to type."""

import pytest

from kitsune.cli.exits import Exit
from kitsune.cli.main import run_command
from kitsune.errors import Conflict, ServerUnavailable
from kitsune.models.orders import Gate
from kitsune.models.plan import Plan
from kitsune.service.ordering import Accepted, Answer
from support.fake_fleet import FakeFleet, FakeRollout


class GatedRollout(FakeRollout):
    """A rollout of three batches that waits at one of its gates, or at none."""

    gate = None

    def __init__(self, rollout_id, *servers, approval="everyBatch"):
        super().__init__(rollout_id, *servers)
        strategy = {"type": "Sequential", "approval": approval}
        wire = self.plan.model_dump(mode="json", by_alias=True)
        self.plan = Plan.model_validate(wire | {"rolloutStrategy": strategy})

    def progress(self):
        return super().progress().model_copy(update={"gate": self.gate})


class GatedFleet(FakeFleet):
    """Opens the gate that waits; batch-1 is open already."""

    async def approve(self, rollout_id, order):
        self._ask("approve")
        gate = self._get(rollout_id).gate
        if order.gate == "batch-1":
            return Answer(Accepted.DONE, "already approved batch-1")
        if gate is None or order.gate != gate.id:
            raise Conflict(
                f"rollout {rollout_id!r} refuses: approve: gate {order.gate!r} is not open"
            )
        return Answer(Accepted.DONE, f"approved {order.gate}")


@pytest.fixture
def rollout(noon):
    rollout = GatedRollout("web-1", "a", "b", "c")
    rollout.gate = Gate(id="batch-2", opened_at=noon)
    return rollout


@pytest.fixture
def approve(rollout, with_fleet, capfd):
    fleet = with_fleet(GatedFleet(rollout))

    def give(*arguments):
        code = run_command(["approve", "web-1", *arguments])
        return code, capfd.readouterr()

    give.fleet = fleet
    return give


def test_the_gate_that_waits_is_opened_without_more_words(approve):
    code, said = approve("--gate", "batch-2")
    assert (code, said.out, said.err) == (Exit.OK, "web-1: approved batch-2\n", "")


def test_a_wrong_gate_is_refused_with_the_right_ones_and_the_command(approve):
    code, said = approve("--gate", "wrong")
    assert code is Exit.CONFLICT
    assert said.err.splitlines() == [
        "kitsune: rollout 'web-1' refuses: approve: gate 'wrong' is not open",
        "  gates: batch-1, batch-2; batch-2 waits now",
        "  next: kitsune approve web-1 --gate batch-2",
    ]


def test_a_gate_that_is_open_already_says_which_one_waits(approve):
    code, said = approve("--gate", "batch-1")
    assert (code, said.out) == (Exit.OK, "web-1: already approved batch-1\n")
    assert said.err.splitlines() == [
        "  gates: batch-1, batch-2; batch-2 waits now",
        "  next: kitsune approve web-1 --gate batch-2",
    ]


@pytest.mark.parametrize("arguments", [(), ("--gate", "batch-2")])
def test_where_no_gate_waits_the_gates_are_named(approve, rollout, arguments):
    rollout.gate = None
    code, said = approve(*arguments)
    assert code is Exit.CONFLICT
    assert said.err.splitlines()[1:] == [
        "  gates: batch-1, batch-2; none waits now",
        "  next: kitsune status web-1",
    ]


def test_a_plan_without_gates_says_so(with_fleet, capfd):
    with_fleet(GatedFleet(GatedRollout("web-1", "a", approval="none")))
    assert run_command(["approve", "web-1", "--gate", "canary"]) is Exit.CONFLICT
    assert "its plan has no gates" in capfd.readouterr().err


def test_a_refusal_stays_itself_where_the_gates_cannot_be_looked_up(approve):
    async def away(_rollout_id):
        raise ServerUnavailable("gone")

    approve.fleet.look = away
    code, said = approve("--gate", "wrong")
    assert code is Exit.CONFLICT
    assert said.err.startswith("kitsune: rollout 'web-1' refuses: approve: gate 'wrong'")
    assert "gone" not in said.err
