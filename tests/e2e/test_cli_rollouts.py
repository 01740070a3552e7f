"""The command line against real workers: every exit code that a rollout can have, and what is said with it."""

import fcntl
import json
import os
import pty
import signal
import struct
import termios

import pytest

from support.small_fleet import SmallFleet, interrupt, lines_of, script, until

pytestmark = [pytest.mark.e2e, pytest.mark.server]


@pytest.fixture(scope="module")
def fleet(temporal_server, tmp_path_factory):
    fleet = SmallFleet(temporal_server.address, tmp_path_factory.mktemp("fleet"), "a", "b", "c")
    yield fleet
    fleet.close()


@pytest.fixture
def held(fleet, tmp_path):
    """A plan that holds every server until it is released; released at the end in any case."""
    gate, log = tmp_path / "gate", tmp_path / "log"
    os.mkfifo(gate)
    writer = os.open(gate, os.O_RDWR)  # keeps the fifo open, so that readers wait for a line
    path = fleet.plan(
        steps=[
            script(
                f"echo $KITSUNE_SERVER_ID >> {log}; read line < {gate}",
                rollback=f"echo undone >> {log}",
            )
        ]
    )

    class Held:
        plan = path

        @staticmethod
        def wait_until_running():
            until(lambda: len(lines_of(log)) >= len(fleet.servers))

        @staticmethod
        def release():
            os.write(writer, b"go\n" * len(fleet.servers))

        @staticmethod
        def log():
            return lines_of(log)

    yield Held
    Held.release()
    os.close(writer)


def on(server, then, otherwise="true"):
    return f'case "$KITSUNE_SERVER_ID" in *.{server}) {then};; *) {otherwise};; esac'


def new_id(name):
    return f"{name}-r{os.getpid()}"


def test_a_good_rollout_ends_with_0_and_a_recap_on_stdout(fleet):
    ran = fleet.kitsune("run", fleet.plan(steps=[script("echo hello")]))
    assert ran.returncode == 0, ran.stderr
    assert "succeeded" in ran.stdout.splitlines()[0]
    assert "3 ✔ succeeded" in ran.stdout
    assert "\x1b" not in ran.stdout + ran.stderr
    assert "started" in ran.stderr


def test_failures_within_the_limit_end_with_3_and_name_server_and_error(fleet):
    plan = fleet.plan(
        steps=[script(on("b", "echo boom >&2; exit 9"))], rolloutStrategy={"maxFailures": 1}
    )
    ran = fleet.kitsune("run", plan)
    assert ran.returncode == 3
    assert f"1 ✖ failed  {fleet.servers[1]}; 1 rolled back" in ran.stdout
    assert "boom" in ran.stdout
    assert f"--servers {fleet.servers[1]}" in ran.stdout


def test_a_server_that_is_skipped_ends_with_4(fleet):
    plan = fleet.plan(
        steps=[script("true")],
        servers=[*fleet.servers, f"{fleet.prefix}.nobody"],
        unreachable={"policy": "skip", "timeout": "1s"},
    )
    ran = fleet.kitsune("run", plan)
    assert ran.returncode == 4, ran.stdout + ran.stderr
    assert "1 → skipped" in ran.stdout


def test_a_stopped_rollout_ends_with_5_and_starts_nothing_more(fleet):
    plan = fleet.plan(
        steps=[script(on("a", "exit 1"))], rolloutStrategy={"type": "Rolling", "batchSize": 1}
    )
    ran = fleet.kitsune("run", plan)
    assert ran.returncode == 5
    assert "2 · not started" in ran.stdout


def test_a_rollback_that_fails_ends_with_6_and_says_where(fleet):
    plan = fleet.plan(steps=[script(on("c", "exit 1"), rollback="echo stuck >&2; exit 2")])
    ran = fleet.kitsune("run", plan)
    assert ran.returncode == 6
    assert f"rollback failed on {fleet.servers[2]}" in ran.stdout
    assert "stuck" in ran.stdout


def test_an_abort_ends_with_0_and_the_rollout_with_7(fleet, held):
    rollout_id = new_id("abort")
    running = fleet.begin("run", held.plan, "--id", rollout_id)
    held.wait_until_running()
    aborted = fleet.kitsune("abort", rollout_id, "--reason", "wrong build")
    out, err = running.communicate(timeout=60)
    assert running.returncode == 7, err
    assert aborted.returncode == 0, aborted.stderr
    assert "wrong build" in aborted.stdout
    assert "3 ⚠ cancelled" in aborted.stdout
    assert b"aborted" in out
    assert "undone" not in held.log()
    assert fleet.kitsune("abort", rollout_id).returncode == 9


def test_an_abort_with_rollback_says_what_was_undone(fleet, held):
    started = fleet.kitsune("run", held.plan, "--detach")
    rollout_id = started.stdout.strip()
    held.wait_until_running()
    aborted = fleet.kitsune("abort", rollout_id, "--rollback", "-o", "json")
    assert aborted.returncode == 0, aborted.stderr
    assert json.loads(aborted.stdout)["rolledBack"] == 3
    assert held.log().count("undone") == 3


def test_a_wrong_plan_ends_with_8_before_anything_is_started(fleet):
    ran = fleet.kitsune("run", fleet.plan(steps=[{"name": "x", "type": "scrit"}]))
    assert ran.returncode == 8
    assert "did you mean 'script'?" in ran.stderr
    assert ran.stdout == ""


def test_another_plan_under_a_taken_id_ends_with_9(fleet):
    rollout_id = new_id("taken")
    first = fleet.kitsune("run", fleet.plan(steps=[script("true")]), "--id", rollout_id)
    assert first.returncode == 0
    ran = fleet.kitsune("run", fleet.plan(steps=[script("false")]), "--id", rollout_id)
    assert ran.returncode == 9
    assert "belongs to another plan" in ran.stderr


def test_the_same_id_and_plan_runs_once_and_answers_the_same(fleet, tmp_path):
    plan = fleet.plan(steps=[script(f"echo x >> {tmp_path}/log; exit 1")])
    first = fleet.kitsune("run", plan, "--id", new_id("once"))
    again = fleet.kitsune("run", plan, "--id", new_id("once"))
    assert (first.returncode, again.returncode) == (5, 5)
    assert first.stdout == again.stdout
    assert "nothing is started" in again.stderr
    assert len(lines_of(tmp_path / "log")) == 3


def test_detaching_leaves_the_rollout_alone(fleet, held):
    rollout_id = new_id("detach")
    running = fleet.begin("run", held.plan, "--id", rollout_id)
    held.wait_until_running()
    code, out, err = interrupt(running)
    assert code == 130
    assert out == ""
    assert f"kitsune watch {rollout_id}" in err
    watched = fleet.kitsune("watch", rollout_id, "--timeout", "200ms")
    assert watched.returncode == 124
    assert "the rollout goes on" in watched.stderr
    shown = fleet.kitsune("status", rollout_id, "-o", "json")
    assert json.loads(shown.stdout)["counts"] == {"running": 3}
    held.release()
    assert fleet.kitsune("watch", rollout_id).returncode == 0


def test_detach_prints_the_id_and_nothing_else_on_stdout(fleet):
    ran = fleet.kitsune("run", fleet.plan(steps=[script("true")]), "--detach")
    assert ran.returncode == 0
    rollout_id = ran.stdout.removesuffix("\n")
    assert rollout_id.startswith("e2e-")
    assert fleet.kitsune("watch", rollout_id).returncode == 0
    listed = json.loads(fleet.kitsune("list", "-o", "json", "--limit", "1000").stdout)
    assert rollout_id in {row["rolloutId"] for row in listed}


def test_json_is_the_result_alone(fleet):
    ran = fleet.kitsune("run", fleet.plan(steps=[script("echo hi")]), "-o", "json")
    result = json.loads(ran.stdout)
    assert result["success"] is True
    assert result["serversPatched"] == 3
    assert result["results"][0]["stepsExecuted"][0]["outputs"]["stdout"]["text"] == "hi\n"


def test_jsonl_is_one_event_a_line_and_the_result_last(fleet):
    plan = fleet.plan(steps=[script("sleep 1")], rolloutStrategy={"type": "Sequential"})
    ran = fleet.kitsune("run", plan, "-o", "jsonl")
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    assert {event["schema"] for event in events} == {"kitsune.event/v1"}
    assert events[0]["event"] == "rollout"
    assert events[-1]["event"] == "result"
    assert events[-1]["exitCode"] == 0
    ends = [event["server"] for event in events if event.get("state") == "succeeded"]
    assert ends == fleet.servers


def test_servers_on_the_command_line_take_the_place_of_the_plans(fleet):
    plan = fleet.plan(steps=[script("true")], servers=["elsewhere"])
    ran = fleet.kitsune("run", plan, "--servers", fleet.servers[0], "-o", "json")
    assert [row["serverId"] for row in json.loads(ran.stdout)["results"]] == fleet.servers[:1]


def test_an_unknown_rollout_is_wrong_usage(fleet):
    for command in ("watch", "status", "abort"):
        ran = fleet.kitsune(command, "nobody-ever-started-this")
        assert ran.returncode == 2
        assert "no rollout 'nobody-ever-started-this'" in ran.stderr


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, fleet, *arguments, columns, rows=24):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.seen = ""
        environment = fleet.environment | {"TERM": "xterm-256color"}
        environment.pop("NO_COLOR", None)
        fleet.environment, before = environment, fleet.environment
        self.process = fleet.begin(*arguments, stdin=slave, stdout=slave, stderr=slave)
        fleet.environment = before
        os.close(slave)

    def read_until(self, text):
        until(lambda: text in self._read())

    def _read(self):
        try:
            self.seen += os.read(self.master, 65536).decode(errors="replace")
        except OSError:  # the other end is closed
            return self.seen
        return self.seen

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self):
        """Read to the end, and return the exit code."""
        before = None
        while before != self.seen or self.process.poll() is None:
            before = self.seen
            self._read()
        os.close(self.master)
        return self.process.wait(60)


@pytest.mark.parametrize("columns", [40, 200])
def test_on_a_terminal_it_asks_shows_one_screen_and_leaves_the_recap(fleet, held, columns):
    terminal = Terminal(fleet, "run", held.plan, columns=columns)
    terminal.read_until("[y/N]")
    terminal.type("y\n")
    held.wait_until_running()
    terminal.read_until("3 ◌ running")
    terminal.read_until("q detach")
    held.release()
    assert terminal.end() == 0
    assert terminal.seen.rfind("\x1b[?25h") > terminal.seen.rfind("\x1b[?25l")
    assert "3 ✔ succeeded" in terminal.seen[terminal.seen.rfind("\x1b[?25h") :]


def test_no_is_an_answer(fleet, held):
    terminal = Terminal(fleet, "run", held.plan, columns=80)
    terminal.read_until("[y/N]")
    terminal.type("n\n")
    assert terminal.end() == 8
    assert "not started" in terminal.seen
    assert held.log() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_gives_the_terminal_its_cursor_back(fleet, held, number):
    terminal = Terminal(fleet, "run", held.plan, "--yes", columns=80)
    held.wait_until_running()
    terminal.read_until("q detach")
    terminal.process.send_signal(number)
    assert terminal.end() == 130
    assert terminal.seen.rfind("\x1b[?25h") > terminal.seen.rfind("\x1b[?25l")
    assert "the rollout goes on" in terminal.seen[terminal.seen.rfind("\x1b[?25h") :]
