"""The list of servers tells who is there, who is not, and what holds whom."""

from datetime import timedelta

import pytest

from kitsune.cli.servers import _tell, share
from kitsune.service.inventory import ServerRow, _away, _known, _Run, natural
from kitsune.service.listing import WorkerRow


@pytest.fixture
def worker(noon):
    def make(queue, **fields):
        defaults = {"identity": f"1@{queue}", "host": "h1", "version": "0.3.0", "state": "online"}
        return WorkerRow(queue=queue, heard_at=noon, **(defaults | fields))

    return make


@pytest.fixture
def told(noon, capsys):
    def tell(rows, orchestrators=(), **options):
        defaults = {"now": noon + timedelta(seconds=70), "types": False, "held": False}
        _tell(rows, orchestrators, **(defaults | options))
        return capsys.readouterr()

    return tell


def test_the_list_for_people(told, worker, noon):
    busy = _known(worker("web-1", cpu=0.426, memory=0.5), _Run("web-7", open=True, seen_at=None))
    idle = _known(worker("web-2"), _Run("web-7", open=False, seen_at=noon))
    gone = _away("web-10", _Run("web-6", open=False, seen_at=noon))
    orchestrator = worker("execution-orchestrator", identity="1@orchestrator")
    assert told([busy, idle, gone], [orchestrator]).out == (
        "SERVER  STATE    HEARD   HELD BY  VERSION  CPU  MEM  HOST\n"
        "web-1   online   1m ago  web-7    0.3.0    43%  50%  h1\n"
        "web-2   online   1m ago  -        0.3.0      -    -  h1\n"
        "web-10  offline  1m ago  -        -          -    -  -\n"
        "\n"
        "ORCHESTRATION WORKER  STATE   HEARD   VERSION  CPU  MEM  HOST\n"
        "1@orchestrator        online  1m ago  0.3.0      -    -  h1\n"
    )


def test_step_types_are_told_on_demand(told, noon):
    row = ServerRow("a", "online", noon, step_types=("echo", "script"))
    assert told([row], types=True).out.splitlines()[1].endswith("echo script")


def test_an_empty_list_says_what_to_start(told):
    said = told([])
    assert "SERVER_ID=server-1 kitsune local-worker" in said.err
    assert "kitsune orchestration-worker" in said.err
    assert told([], held=True).err == "no rollout runs on any server\n"


def test_a_share_that_nobody_has_told_is_blank():
    assert [share(None), share(0.004), share(1.0)] == ["", "0%", "100%"]


def test_names_are_sorted_as_people_count():
    names = ["web-10", "web-2", "db", "web-2b", "10", "9"]
    assert sorted(names, key=natural) == ["9", "10", "db", "web-2", "web-2b", "web-10"]
