import json
import subprocess
import sys
from pathlib import Path

import pytest

from kitsune.cli.exits import Exit
from kitsune.cli.main import run_command

PLANS = Path(__file__).parents[2] / "data" / "plans"
GOOD = "servers: [a, b]\nsteps:\n  - {name: n, type: echo, params: {message: hi}}\n"


@pytest.fixture
def write(tmp_path):
    def write_plan(text=GOOD, name="plan.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write_plan


@pytest.fixture
def kitsune(capsys):
    """Run a command line; returns its exit code, stdout and stderr."""

    def run(*arguments):
        code = run_command(list(arguments))
        return code, *capsys.readouterr()

    return run


def fleet(count):
    return "[" + ", ".join(f"web-{number}" for number in range(1, count + 1)) + "]"


def test_a_good_plan_is_one_line_on_stdout(kitsune, write):
    path = write()
    assert kitsune("validate", path) == (Exit.OK, f"{path}: ok, 1 step on 2 servers\n", "")


def test_a_bad_plan_is_told_on_stderr_with_line_and_caret(kitsune, write):
    path = write(GOOD.replace("echo", "sleep").replace("message: hi", "duration: 30 parsecs"))
    code, out, err = kitsune("validate", path)
    assert code == Exit.REFUSED
    assert out == ""
    assert err.split("\n") == [
        f"{path}:3:47: steps[0].params.duration: not a duration: '30 parsecs' "
        "(write 30s, 5m, 1h30m or a number of seconds)",
        "      - {name: n, type: sleep, params: {duration: 30 parsecs}}",
        " " * 50 + "^",
        "",
    ]


def test_of_many_plans_each_is_told_and_one_bad_one_decides(kitsune, write):
    good, bad = write(), write("servers: []\n", "bad.yaml")
    code, out, err = kitsune("validate", good, bad, "/nowhere.yaml")
    assert code == Exit.REFUSED
    assert out == f"{good}: ok, 1 step on 2 servers\n"
    assert "bad.yaml:1:10: servers: a plan needs at least one server" in err
    assert "/nowhere.yaml: no such file" in err


def test_warnings_and_types_that_only_servers_know_are_talk(kitsune, write):
    path = write(GOOD.replace("echo", "reload") + "rolloutStrategy: {batchSize: 2}\n")
    code, out, err = kitsune("validate", path)
    assert (code, out) == (Exit.OK, f"{path}: ok, 1 step on 2 servers\n")
    assert f"{path}: warning: batchSize does nothing with type Parallel\n" in err
    assert "step type 'reload' is not installed here: servers are asked before" in err


def test_json_holds_everything_and_stderr_nothing(kitsune, write):
    code, out, err = kitsune("validate", "-o", "json", write(), write("nam: x", "bad.yaml"), "/no")
    assert (code, err) == (Exit.REFUSED, "")
    good, bad, missing = json.loads(out)["plans"]
    assert good["valid"]
    assert [problem["path"] for problem in bad["problems"]] == ["servers", "steps", "nam"]
    assert bad["problems"][2] == {
        "path": "nam",
        "message": "unknown key 'nam'",
        "value": None,
        "hint": "name",
        "line": 1,
        "column": 1,
    }
    assert "no such file" in missing["problems"][0]["message"]
    assert good.keys() == bad.keys() == missing.keys()


def test_no_plan_is_wrong_usage(kitsune):
    assert kitsune("validate")[0] == Exit.USAGE


def test_a_plan_comes_by_standard_input():
    done = subprocess.run(
        [sys.executable, "-m", "kitsune", "validate", "-"],
        input=GOOD,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "<stdin>: ok, 1 step on 2 servers\n")


@pytest.mark.parametrize("command", ["validate", "preview"])
def test_looking_at_a_plan_loads_no_temporal(command, write):
    code = (
        "import sys; from kitsune.cli.main import run_command;"
        f"code = run_command([{command!r}, sys.argv[1]]);"
        "sys.exit('temporal' if 'temporalio' in sys.modules else int(code))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, write()], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_schema_is_json_on_stdout(kitsune):
    code, out, err = kitsune("schema")
    assert (code, err) == (Exit.OK, "")
    assert json.loads(out)["title"] == "Kitsune plan"


def test_a_preview_shows_gates_deadlines_holds_and_patience_in_words(kitsune, write):
    plan = (
        f"name: web\nservers: {fleet(4)}\n"
        "steps:\n"
        "  - {name: say, type: echo, params: {message: x}}\n"
        "rolloutStrategy: {type: Canary, batchSize: 2, approval: everyBatch, approvalTimeout: 2h,"
        " progressDeadline: 30m, onFailure: ask, batchDelaySeconds: 10}\n"
        "deadline: 8h\n"
        "unreachable: {policy: wait, maxUnreachable: 1}\n"
    )
    code, out, _ = kitsune("preview", write(plan))
    assert code == Exit.OK
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[3:6] == [
        "1 1 wait 10s, approve canary web-1 (canary)",
        "2 2 wait 10s, approve batch-2 web-2, web-3",
        "3 1 - web-4",
    ]
    assert "gates each waits for a person, 2h, then the rollout stops" in lines
    assert "time it stops after 8h or when no server ends for 30m; pauses do not count" in lines
    assert "asks a server that fails is held until a person says what becomes of it" in lines
    assert (
        "away a server that is silent is waited for, for ever; at most 1, apart from failures"
    ) in lines


def test_a_preview_shows_batches_limits_and_steps(kitsune, write):
    plan = (
        f"name: web\nservers: {fleet(37)}\n"
        "steps:\n"
        "  - {name: deploy, type: script, params: {command: x}, timeout: 90}\n"
        "  - {name: check, type: reload, required: false}\n"
        "rolloutStrategy: {type: Canary, batchSize: 25%, maxFailures: 10%,"
        " canarySoakSeconds: 5m, batchDelaySeconds: 30}\n"
    )
    code, out, err = kitsune("preview", write(plan))
    assert (code, err) == (Exit.OK, "")
    assert out == (
        "web: Canary, 37 servers in 5 batches, at most 9 at once\n"
        "\n"
        "batch  size  then      servers\n"
        "    1     4  wait 5m   web-1, web-2, web-3, web-4 (canary)\n"
        "    2     9  wait 30s  web-5, web-6, web-7 … web-13\n"
        "    3     9  wait 30s  web-14, web-15, web-16 … web-22\n"
        "    4     9  wait 30s  web-23, web-24, web-25 … web-31\n"
        "    5     6  -         web-32, web-33, web-34 … web-37\n"
        "\n"
        "  stop  10% of 37 servers: stops at the 4th failure; then servers in flight finish\n"
        "canary  one failure there stops the rollout, whatever maxFailures says\n"
        "  away  a server that is silent for 1m has failed\n"
        "  undo  a server that fails undoes its own steps\n"
        "\n"
        "step  name    type    timeout  executions  undo\n"
        "   1  deploy  script  1m30s             1  cannot be undone: script without"
        " rollbackCommand or rollbackInline\n"
        "   2  check   reload  5m                ?  only the servers know; its failure stops"
        " nothing\n"
        "\n"
        "⚠ cannot be undone: 'deploy' (script without rollbackCommand or rollbackInline);"
        ' where there is nothing to undo, rollbackCommand: "true" says so\n'
        "⚠ step type 'reload' is not installed here: servers are asked before they run it\n"
    )


def test_many_batches_are_shortened_until_all_are_asked_for(kitsune, write):
    path = write(GOOD.replace("[a, b]", fleet(40)) + "rolloutStrategy: {type: Sequential}\n")
    _, short, _ = kitsune("preview", path)
    assert "… 30 more batches (--all names them)" in short
    assert "   40     1  -     web-40" in short
    _, whole, _ = kitsune("preview", path, "--all")
    assert all(f"web-{number}\n" in whole for number in range(1, 41))


def test_all_names_every_server_of_a_large_batch_on_one_line(kitsune, write):
    _, out, _ = kitsune("preview", write(GOOD.replace("[a, b]", fleet(200))), "--all")
    assert ", ".join(f"web-{number}" for number in range(1, 201)) in out


def test_servers_of_the_command_line_are_previewed(kitsune, write, tmp_path):
    (tmp_path / "servers.txt").write_text("x-1\nx-2 # old\n")
    _, out, _ = kitsune("preview", write(), "--servers", f"@{tmp_path}/servers.txt", "-o", "json")
    assert json.loads(out)["batches"][0]["servers"] == ["x-1", "x-2"]


def test_a_preview_of_a_bad_plan_is_its_refusal(kitsune, write):
    path = write("servers: []\n")
    code, out, err = kitsune("preview", path)
    assert (code, out) == (Exit.REFUSED, "")
    assert f"{path} is refused, 2 problems:\n{path}:1:1: steps: required, but missing" in err


def test_data_is_no_markup_and_cannot_draw_on_the_terminal(kitsune, write):
    path = write(GOOD.replace("type: echo", 'type: "[red]\\e[2J:tada:"').replace("n,", "'[b]x',"))
    _, out, _ = kitsune("preview", path)
    assert "[red]\\x1b[2J:tada:" in out
    assert "[b]x" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("path", sorted(PLANS.iterdir()), ids=lambda path: path.name)
def test_plans_that_run_can_be_validated_and_previewed(kitsune, path):
    assert kitsune("validate", str(path))[0] == Exit.OK
    assert kitsune("preview", str(path))[0] == Exit.OK
