"""An id that nobody knows is answered with the one that was probably meant, and with one error only."""

import pytest

from kitsune.cli.exits import Exit
from kitsune.cli.main import run_command
from kitsune.errors import ServerUnavailable
from support.fake_fleet import FakeFleet, FakeRollout


@pytest.fixture
def fleet(with_fleet):
    newest_first = ("web-2-14-0-k3v7qa", "web-2-14-0-abcdef", "db-7-zzzzzz")
    return with_fleet(FakeFleet(*(FakeRollout(name, "a") for name in newest_first)))


def told(capfd, *arguments):
    assert run_command(list(arguments)) is Exit.USAGE
    return capfd.readouterr().err.splitlines()


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["watch"],
        ["logs"],
        ["report"],
        ["abort", "--yes"],
        ["pause"],
        ["resume"],
        ["approve"],
        ["approve", "--gate", "canary"],
        ["set", "--max-failures", "1"],
        ["skip", "--server", "a"],
        ["retry"],
        ["rollback"],
    ],
    ids=" ".join,
)
def test_every_verb_names_the_rollout_that_was_meant(fleet, capfd, command):
    verb, *options = command
    assert told(capfd, verb, "web-2-14-0-k3v7qb", *options) == [
        "kitsune: no rollout 'web-2-14-0-k3v7qb': did you mean 'web-2-14-0-k3v7qa'?",
        "  next: `kitsune list` shows rollouts",
    ]


def test_the_beginning_of_an_id_means_the_latest_rollout_that_has_it(fleet, capfd):
    assert "did you mean 'web-2-14-0-k3v7qa'?" in told(capfd, "status", "web-2-14-0")[0]


def test_an_id_like_no_other_gets_no_guess(fleet, capfd):
    assert told(capfd, "status", "x")[0] == "kitsune: no rollout 'x'"


@pytest.mark.parametrize("trouble", [ServerUnavailable("gone"), TimeoutError()])
def test_a_look_that_fails_adds_no_second_error(fleet, capfd, monkeypatch, trouble):
    async def rollouts(**_):
        raise trouble

    monkeypatch.setattr(fleet, "rollouts", rollouts)
    assert told(capfd, "status", "web-2-14-0-k3v7qb") == [
        "kitsune: no rollout 'web-2-14-0-k3v7qb'",
        "  next: `kitsune list` shows rollouts",
    ]
