"""Commands that need Temporal: their options, and what they say when it is not there."""

import pytest

from kitsune.cli.exits import Exit
from kitsune.cli.main import run_command

NOWHERE = ["--address", "127.0.0.1:1"]


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("servers: [a]\nsteps:\n  - {name: hello, type: echo, params: {message: hi}}\n")
    return str(path)


@pytest.mark.parametrize(
    "arguments",
    [["watch", "x"], ["status", "x"], ["abort", "x"], ["list"], ["servers"]],
)
def test_without_temporal_a_command_ends_with_69_and_says_what_to_do(arguments, capfd):
    assert run_command([*arguments, *NOWHERE]) is Exit.UNAVAILABLE
    out, err = capfd.readouterr()
    assert out == ""
    assert "Temporal does not answer at 127.0.0.1:1 (connection refused)" in err
    assert "kitsune dev" in err


def test_a_run_without_temporal_starts_nothing(plan, capfd):
    assert run_command(["run", plan, *NOWHERE]) is Exit.UNAVAILABLE
    assert "started" not in capfd.readouterr().err


def test_a_wrong_plan_is_refused_before_temporal_is_asked(tmp_path, capfd):
    path = tmp_path / "plan.yaml"
    path.write_text("servers: []\nsteps: []\n")
    assert run_command(["run", str(path), *NOWHERE]) is Exit.REFUSED
    assert "Temporal" not in capfd.readouterr().err


@pytest.mark.parametrize("rollout_id", ["", "a b", "exec-server-1", "x" * 201, "a/b"])
def test_an_id_that_cannot_be_is_wrong_usage(plan, rollout_id, capfd):
    assert run_command(["run", plan, "--id", rollout_id, *NOWHERE]) is Exit.USAGE
    assert "--id" in capfd.readouterr().err


@pytest.mark.parametrize("timeout", ["soon", "-1", "30 parsecs"])
def test_a_timeout_that_is_no_duration_is_wrong_usage(timeout, capfd):
    assert run_command(["watch", "x", "--timeout", timeout, *NOWHERE]) is Exit.USAGE
    assert "duration" in capfd.readouterr().err


def test_no_option_takes_a_key():
    from kitsune.cli.abort import abort
    from kitsune.cli.run import run

    flags = {flag for command in (abort, run) for option in command.params for flag in option.opts}
    assert not [flag for flag in flags if "key" in flag]


def test_versions_are_told_as_json_too(capfd):
    import json

    assert run_command(["version", "-o", "json"]) is Exit.OK
    assert set(json.loads(capfd.readouterr().out)) == {"kitsune", "python", "temporalio"}
