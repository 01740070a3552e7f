"""On a narrow terminal lines break between words and cells; off it, and where all fits, nothing changes."""

import contextlib
import io
import re

import pytest
from rich.cells import cell_len
from rich.text import Text

from kitsune.cli import status
from kitsune.cli.console import Glyphs, print_words, stdout_console, wrapped
from kitsune.cli.preview_text import preview_lines
from kitsune.cli.servers import _print_servers
from kitsune.cli.tables import Column, table_lines
from kitsune.handlers.registry import load_handlers
from kitsune.models.progress import ServerProgress
from kitsune.planfile.loading import load_and_check, preview_of
from kitsune.service.inventory import ServerRow
from kitsune.service.listing import RolloutRow

PLAN = """
name: web-2.14.0
servers: [web-1, web-2, web-3, web-4]
steps:
  - {name: deploy, type: script, params: {command: deploy.sh}}
  - {name: check, type: reload, params: {}, continueOnFailure: true}
rolloutStrategy: {type: Canary, canaryPercentage: 25, batchSize: 2, approval: everyBatch, batchDelaySeconds: 30}
"""
NARROW = 60


def rows(text, width, hang=2):
    return [row.plain for row in wrapped(Text(text), width, hang=hang)]


def assert_broken_between_words(narrow, whole):
    """Compare with the same without breaks: the same words, none of them in two, and no line too long."""
    assert all(cell_len(line) <= NARROW for line in narrow)
    assert sorted(" ".join(narrow).split()) == sorted(" ".join(whole).split())
    assert len(narrow) > len(whole)


def test_a_sentence_breaks_between_words_and_hangs():
    assert rows("one two three four", 10) == ["one two", "  three", "  four"]
    assert rows("one two three four", None) == ["one two three four"]
    assert rows("one two three four", 18) == ["one two three four"]


def test_a_word_that_fits_nowhere_stays_whole():
    assert rows("id web-2-14-0-k3v7qa now", 10) == ["id", "  web-2-14-0-k3v7qa", "  now"]


def test_styles_survive_a_break():
    text = Text("! ", style="yellow").append("one two three", style="red")
    first, second = wrapped(text, 10, hang=2)
    assert [first.plain, second.plain] == ["! one two", "  three"]
    assert any(span.style == "red" for span in second.spans)


class Tty(io.StringIO):
    """What Rich takes for a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def on_terminal(monkeypatch):
    """Return what something writes to a terminal of 60 columns."""
    monkeypatch.setenv("COLUMNS", str(NARROW))
    monkeypatch.setenv("TERM", "xterm")

    def shown(write, *arguments, **options):
        stream = Tty()
        with contextlib.redirect_stdout(stream):
            write(*arguments, **options)
        return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())

    return shown


def test_a_command_stays_whole_to_be_copied(on_terminal):
    command = f"  $ kitsune run {'x' * 30}.yaml --servers web-1,web-2,web-3    # once mended"
    said = on_terminal(lambda: print_words(stdout_console(), command))
    assert said == f"{command}\n"


def test_columns_that_do_not_fit_go_on_below():
    columns = [Column("ID"), Column("N", right=True), Column("STATE"), Column("WHEN")]
    cells = [["web-2-14-0-k3v7qa", "7", "running", "2m ago"], ["db", "12", "failed", "1d ago"]]
    assert [line.plain.rstrip() for line in table_lines(columns, cells, width=24)] == [
        "ID                  N",
        "    STATE    WHEN",
        "web-2-14-0-k3v7qa   7",
        "    running  2m ago",
        "db                 12",
        "    failed   1d ago",
    ]


def test_a_long_last_cell_breaks_below_itself_where_there_is_room():
    cells = [["web-1", "it could not be reached for a long time"]]
    lines = table_lines([Column("SERVER"), Column("ERROR")], cells, width=34)
    assert [line.plain for line in lines] == [
        "SERVER  ERROR",
        "web-1   it could not be reached",
        "        for a long time",
    ]


def test_a_preview_on_a_narrow_terminal(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    registry = load_handlers()
    preview = preview_of(load_and_check(str(path), registry), registry)

    def lines(width):
        drawn = preview_lines(preview, signs=Glyphs(), show_all=False, width=width)
        return [line.plain for line in drawn]

    assert_broken_between_words(lines(NARROW), lines(None))
    assert "        maxFailures says" in lines(NARROW)


def test_many_batches_stay_shortened_in_the_middle_on_a_narrow_terminal(tmp_path):
    path = tmp_path / "plan.yaml"
    names = ", ".join(f"a-server-with-a-rather-long-name-{n}" for n in range(40))
    path.write_text(
        f"servers: [{names}]\nsteps: [{{name: hi, type: echo, params: {{message: hi}}}}]\n"
        "rolloutStrategy: {type: Rolling, batchSize: 3}\n"
    )
    registry = load_handlers()
    preview = preview_of(load_and_check(str(path), registry), registry)
    drawn = preview_lines(preview, signs=Glyphs(), show_all=False, width=NARROW)
    text = "\n".join(line.plain for line in drawn)
    assert text.index("name-24") < text.index("… 4 more batches") < text.index("name-39")


def test_the_list_of_servers_on_a_narrow_terminal(on_terminal, noon, after):
    row = ServerRow(
        "web-1", "online", noon, "0.3.0", "host-1.example.com", holder="web-2-14-0-k3v7qa"
    )
    said = on_terminal(_print_servers, [row], now=after(5), types=False)
    heads = ["SERVER", "STATE", "HEARD", "HELD", "BY", "VERSION", "CPU", "MEM", "HOST"]
    assert all(len(line) <= NARROW for line in said.splitlines())
    assert set(heads) | {"host-1.example.com", "web-2-14-0-k3v7qa"} <= set(said.split())


def test_the_list_of_rollouts_on_a_narrow_terminal(on_terminal, noon, after):
    counts = {"succeeded": 3, "failed": 1, "notStarted": 4}
    row = RolloutRow(
        "web-2-14-0-k3v7qa", "web 2.14", "stopped", False, counts, 1, 8, noon, after(9)
    )
    said = on_terminal(status._print_rows, [row], now=after(60))
    assert all(len(line) <= NARROW for line in said.splitlines())
    assert {"web-2-14-0-k3v7qa", "stopped", "STARTED", "TOOK"} <= set(said.split())


def test_the_status_of_a_rollout_on_a_narrow_terminal(on_terminal, progress_of):
    broken = ServerProgress(
        server_id="web-1",
        state="failed",
        error="step 'deploy' failed with exit code 3: the release could not be unpacked",
    )
    progress = progress_of([broken], failures=1, reason="1 of 1 servers failed: " + "so it is " * 9)
    said = on_terminal(status._print_progress, progress)
    assert all(len(line) <= NARROW for line in said.splitlines())
    assert "unpacked" in said.split()
