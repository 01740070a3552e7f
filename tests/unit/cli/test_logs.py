"""What steps have printed comes out as lines that move no cursor, or as the bytes that they were."""

import io

import click
import pytest
from rich.console import Console

from kitsune.cli.log_reading import Asked, LogReading, Target, find_targets
from kitsune.cli.log_text import LogPrinter
from kitsune.cli.logs import find_step
from kitsune.errors import ServerAway
from kitsune.models.logs import LogEntry, LogList, LogPage
from kitsune.models.plan import Plan
from kitsune.models.progress import ServerProgress
from kitsune.models.results import StepOutcome
from kitsune.service.fleet import Look
from kitsune.service.running import RunningStep, Tail
from kitsune.service.tailing import Choice, Printed

PLAN = Plan.model_validate(
    {
        "servers": ["a", "b"],
        "steps": [
            {"name": "build", "type": "script", "params": {"command": "x"}},
            {"name": "restart nginx", "type": "script", "params": {"command": "x"}},
        ],
    }
)


def printed(
    data, *, server="a", index=0, step="build", stream="stdout", phase="execute", skipped=0
):
    return Printed(server, step, index, phase, stream, data, skipped)


@pytest.fixture
def written():
    """Write pieces and return the lines."""

    def write(*pieces, layout="headers"):
        out = io.StringIO()
        printer = LogPrinter(Console(file=out, width=20, markup=False, highlight=False), layout)
        for piece in pieces:
            printer.write(piece)
        printer.finish()
        return out.getvalue()

    return write


def test_a_line_says_whose_output_follows_whenever_that_changes(written):
    assert written(
        printed(b"one\ntwo\n"),
        printed(b"oops\n", stream="stderr"),
        printed(b"three\n"),
        printed(b"gone\n", index=1, step="restart nginx", phase="rollback"),
    ) == (
        "==> a: step 1 build, stdout <==\n"
        "one\n"
        "two\n"
        "\n"
        "==> a: step 1 build, stderr <==\n"
        "oops\n"
        "\n"
        "==> a: step 1 build, stdout <==\n"
        "three\n"
        "\n"
        "==> a: undo of step 2 restart nginx, stdout <==\n"
        "gone\n"
    )


def test_of_many_servers_each_line_says_whose_it_is(written):
    pieces = [printed(b"one\n"), printed(b"oops\n", server="b", stream="stderr")]
    assert written(*pieces, layout="prefixes") == "a | one\nb ! oops\n"


def test_nothing_in_output_reaches_a_terminal_as_a_command(written):
    evil = "a\x1b[2Jb\x07c\x9bd\u202ee\rf\x00\n".encode() + b"\xff\n"
    assert written(printed(evil), layout="plain") == (
        "a\\x1b[2Jb\\x07c\\x9bd\\u202ee\\rf\\x00\n\ufffd\n"
    )


def test_lines_and_characters_that_come_in_pieces_are_put_together(written):
    data = "größer\r\n漢字\n".encode()
    pieces = [printed(data[at : at + 1]) for at in range(len(data))]
    assert written(*pieces, layout="plain") == "größer\n漢字\n"


def test_a_last_line_without_an_end_is_shown_and_so_is_one_that_never_ends(written):
    assert written(printed(b"no end"), layout="plain") == "no end\n"
    text = written(printed(b"x" * 40_000), layout="plain")
    assert text.replace("\n", "") == "x" * 40_000
    assert len(text.splitlines()) > 1


def test_what_is_left_out_is_said(written):
    assert (
        written(printed(b"end\n", skipped=2048), layout="plain") == "[2.0 KiB are not here]\nend\n"
    )


def test_a_step_is_found_by_name_and_by_number():
    assert [find_step(PLAN, text) for text in ("build", "2", "restart nginx")] == [0, 1, 1]
    with pytest.raises(click.BadParameter, match="did you mean 'build'"):
        find_step(PLAN, "bild")
    with pytest.raises(click.BadParameter, match="it has 1 to 2, such as 'build'"):
        find_step(PLAN, "7")


class FakeFleet:
    """Servers whose output is a text, or that are away."""

    def __init__(self, logs, *, looks=(), steps=None, running=None):
        self.logs, self.looks, self.steps = logs, list(looks), steps or {}
        self.running, self.asked = running or {}, []

    async def list_logs(self, rollout_id, server_id):
        self.asked.append(server_id)
        if server_id not in self.logs:
            raise ServerAway(server_id)
        size = len(self.logs[server_id])
        return LogList(
            server_id=server_id,
            entries=[LogEntry(step="build", step_index=0, stdout=size, executions=1)],
        )

    async def read_log(self, rollout_id, server_id, *, stream, offset, **_):
        import base64

        data = self.logs[server_id]
        start = max(0, len(data) + offset) if offset < 0 else offset
        return LogPage(
            server_id=server_id,
            stream=stream,
            data=base64.b64encode(data[start : start + 4]).decode()
            if offset >= 0
            else base64.b64encode(data[start:]).decode(),
            offset=start,
            size=len(data),
        )

    async def known_steps(self, rollout_id, server_id):
        return self.steps.get(server_id, [])

    async def running_steps(self, rollout_id, servers):
        return {server: self.running[server] for server in servers if server in self.running}

    async def look(self, _):
        return self.looks.pop(0)

    async def require_server(self, *_):
        pass


class Kept:
    def __init__(self):
        self.text = b""

    def write(self, piece):
        self.text += piece.data


def reading(fleet, *servers, **asked):
    kept = Kept()
    targets = [Target(server, Choice()) for server in servers]
    return LogReading(fleet, "r", targets, kept, asked=Asked(**asked)), kept


async def test_everything_is_read_page_by_page():
    reader, kept = reading(FakeFleet({"a": b"0123456789"}), "a")
    assert await reader.read() == 0
    assert kept.text == b"0123456789"


async def test_only_the_last_lines_are_shown_on_demand():
    reader, kept = reading(FakeFleet({"a": b"1\n2\n3\n"}), "a", tail=2)
    await reader.read()
    assert kept.text == b"2\n3\n"


async def test_of_a_server_that_is_away_what_the_result_knows_is_shown(capsys):
    step = StepOutcome(
        name="build", success=True, outputs={"stdout": {"text": "kept", "bytes": 99}}
    )
    fleet = FakeFleet({}, steps={"a": [step]})
    reader, kept = reading(fleet, "a")
    assert await reader.read() == 4
    assert kept.text == b"kept"
    assert "what the rollout knows of its output" in capsys.readouterr().err


async def test_following_shows_each_byte_once_and_ends_with_the_server(
    progress_of, monkeypatch, capsys
):
    monkeypatch.setattr("kitsune.cli.log_reading._LOOK_EVERY", 0)
    at_work = Look(open=True, progress=progress_of({"a": "running"}))
    fleet = FakeFleet({"a": b"one\n"})

    turns = iter(range(4))

    async def look(_):
        at = next(turns)
        # The server's disk is ahead of its heartbeats, and then behind nothing.
        fleet.logs["a"] = b"one\ntwo\nthree\nfour\n"[: (4, 8, 14, 19)[at]]
        end = (4, 8, 14, 14)[at]
        tail = Tail(end, b"one\ntwo\nthree\n"[max(0, end - 6) : end])
        fleet.running = {
            "a": RunningStep("a", "1/2 build (script)", execution=1, tails={"stdout": tail})
        }
        return at_work if at < 3 else Look(open=True, progress=progress_of({"a": "succeeded"}))

    fleet.look = look
    reader, kept = reading(fleet, "a", follow=True)
    assert await reader.follow() == 0
    assert kept.text == b"one\ntwo\nthree\nfour\n"
    assert len(fleet.asked) == 2, "heartbeats told what came in between"
    assert "a succeeded" in capsys.readouterr().err


async def test_a_server_that_is_away_is_followed_by_its_heartbeats(
    progress_of, monkeypatch, capsys
):
    monkeypatch.setattr("kitsune.cli.log_reading._LOOK_EVERY", 0)
    tail = Tail(3, b"one")
    step = RunningStep("a", "1/2 build (script)", execution=1, tails={"stdout": tail})
    looks = [Look(open=True, progress=progress_of({"a": "running"}))] * 3 + [Look(False, None)]
    fleet = FakeFleet({}, looks=looks, running={"a": step})
    reader, kept = reading(fleet, "a", follow=True)
    assert await reader.follow() == 4
    assert kept.text == b"one"
    assert capsys.readouterr().err.count("does not answer") == 1


async def test_failed_means_the_failing_step_of_each_server_that_did_not_succeed(progress_of):
    broken = ServerProgress(server_id="b", state="failed", error="x", failed_step="restart nginx")
    progress = progress_of([ServerProgress(server_id="a", state="succeeded"), broken])
    fleet = FakeFleet({}, looks=[Look(open=True, progress=progress)])
    targets = await find_targets(fleet, "r", PLAN, None, choice=Choice(), asked=Asked(failed=True))
    assert [(target.server_id, target.choice.step_index) for target in targets] == [("b", 1)]


async def test_a_large_fleet_is_not_read_as_a_whole():
    servers = [f"s{number}" for number in range(21)]
    large = PLAN.model_copy(update={"servers": servers})
    with pytest.raises(click.UsageError, match="name one, as in `kitsune logs r s0`"):
        await find_targets(FakeFleet({}), "r", large, None, choice=Choice(), asked=Asked())
