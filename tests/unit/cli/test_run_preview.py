"""What `kitsune run` says of a plan before it asks."""

from kitsune.cli.console import Glyphs
from kitsune.cli.run import short_preview
from kitsune.models.plan import Plan
from kitsune.rollout.preview import preview_plan


def told(servers, *, strategy=None, warnings=(), unknown=(), **plan):
    raw = {
        "name": "web",
        "servers": [f"s{number}" for number in range(servers)],
        "steps": [{"name": "one", "type": "echo"}],
        "rolloutStrategy": strategy or {},
        **plan,
    }
    preview = preview_plan(
        Plan.model_validate(raw), facts=[None], warnings=warnings, unknown_types=unknown
    )
    return [line.plain for line in short_preview(preview, Glyphs())]


def test_batches_limit_and_rollback_are_told():
    strategy = {"type": "Canary", "canaryPercentage": 10, "batchSize": 4, "maxFailures": "20%"}
    assert told(10, strategy=strategy, rollback={"scope": "fleet"}) == [
        "web: 1 step on 10 servers, Canary in 4 batches (1 canary, 4, 4, 1)",
        "  20% of 10 servers: stops at the 3rd failure; when it stops, every server is undone",
    ]


def test_a_server_that_would_be_held_is_not_said_to_be_undone():
    ask = {"onFailure": "ask"}
    held = "  stops at the 1st failure; a server that fails is held until you decide"
    assert told(2, strategy=ask)[1] == held
    assert told(2, strategy=ask, rollback={"scope": "none"})[1] == held
    assert told(2, strategy=ask, rollback={"scope": "fleet"})[1] == (
        f"{held}; when it stops, every server is undone"
    )


def test_one_batch_is_all_at_once():
    assert told(3)[0] == "web: 1 step on 3 servers, all at once"
    assert told(1)[0] == "web: 1 step on 1 server, alone"


def test_many_batches_are_not_all_named():
    assert told(20, strategy={"type": "Sequential"})[0].endswith("20 batches (1, 1, 1, 1, 1, 1, …)")


def test_warnings_and_unknown_types_are_told_and_bounded():
    lines = told(2, warnings=[f"warning {at}" for at in range(12)], unknown=["restart_vm"])
    assert "  ⚠ warning 0" in lines
    assert "  … 2 more warnings: see `kitsune preview`" in lines
    assert (
        lines[-1] == "  only the servers know restart_vm: they are asked before anything is touched"
    )


def test_a_name_cannot_move_the_cursor():
    assert "\x1b" not in "".join(told(1, warnings=["\x1b[2J"]))
