"""Real processes, real `kill -9`: a rollout goes on, and nothing is done twice."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError

from kitsune import names
from kitsune.embedded.local_fleet import LocalFleet
from kitsune.models.results import RolloutResult
from support.bench import connect

pytestmark = pytest.mark.e2e

SERVERS = ["server-1", "server-2", "server-3"]


@pytest.fixture
async def fleet(tmp_path):
    async with LocalFleet(state=tmp_path / "fleet", servers=SERVERS, in_memory=True) as fleet:
        supervising = asyncio.create_task(fleet.supervise())
        yield fleet
        supervising.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await supervising


def kill(fleet, name):
    worker = next(worker for worker in fleet.workers if worker.name == name)
    os.kill(worker.pid, signal.SIGKILL)


def ledger_step(ledger: Path, *, hold: Path | None = None):
    """Return a script step that notes its start and its end, and waits for a file in between."""
    wait = f"while ! [ -e {hold} ]; do sleep 0.05; done\n" if hold else ""
    note = f'echo "$1 $KITSUNE_SERVER_ID" >> {ledger}'
    text = f"note() {{ {note}; }}\nnote START\n{wait}note END\n"
    return {"name": "work", "type": "script", "params": {"inline": text}}


def notes(ledger: Path, word: str):
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    return [line.split()[1] for line in lines if line.startswith(word)]


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.05)


async def start(fleet, plan):
    client = await connect(fleet.address)
    return await client.start_workflow(
        names.ORCHESTRATION_WORKFLOW,
        plan,
        id="rollout",
        task_queue=names.ORCHESTRATOR_QUEUE,
        result_type=RolloutResult,
    )


async def test_a_killed_orchestrator_changes_nothing_but_the_time(fleet, tmp_path):
    ledger, hold = tmp_path / "ledger", tmp_path / "hold"
    handle = await start(
        fleet,
        {
            "servers": SERVERS,
            "steps": [ledger_step(ledger, hold=hold)],
            "rolloutStrategy": {"type": "Rolling", "batchSize": 1},
        },
    )
    await until(lambda: notes(ledger, "START") == ["server-1"])
    kill(fleet, "orchestration-worker")
    hold.touch()
    result = await handle.result()
    assert result.success
    assert notes(ledger, "START") == notes(ledger, "END") == SERVERS


def worker(fleet, name):
    return next(worker for worker in fleet.workers if worker.name == name)


def script_processes(server_id):
    return list(processes_with(f"KITSUNE_SERVER_ID={server_id}"))


async def start_held(fleet, ledger, hold, **more):
    handle = await start(
        fleet,
        {
            "servers": ["server-1"],
            "steps": [ledger_step(ledger, hold=hold)],
            "heartbeatTimeout": 3,
            **more,
        },
    )
    await until(lambda: notes(ledger, "START") == ["server-1"])
    return handle


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_script_outlives_its_agent_and_is_taken_over(fleet, tmp_path, number):
    ledger, hold = tmp_path / "ledger", tmp_path / "hold"
    handle = await start_held(fleet, ledger, hold)
    before = worker(fleet, "server-1").pid
    os.kill(before, number)
    await until(lambda: worker(fleet, "server-1").pid not in (None, before))
    hold.touch()
    assert (await handle.result()).success
    assert notes(ledger, "START") == notes(ledger, "END") == ["server-1"]


async def test_what_ended_while_the_agent_was_dead_is_reported(fleet, tmp_path):
    ledger, hold = tmp_path / "ledger", tmp_path / "hold"
    handle = await start_held(fleet, ledger, hold)
    hold.touch()
    kill(fleet, "server-1")
    assert (await handle.result()).success
    assert notes(ledger, "START") == notes(ledger, "END") == ["server-1"]


async def test_a_script_that_died_with_its_agent_is_an_honest_failure(fleet, tmp_path):
    ledger, hold = tmp_path / "ledger", tmp_path / "hold"
    handle = await start_held(fleet, ledger, hold)
    marked = script_processes("server-1")
    kill(fleet, "server-1")
    for pid in marked:
        shim = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        for end in (shim, pid):
            if end > 1 and end != os.getpid():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(end, signal.SIGKILL)
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    result = RolloutResult.model_validate(caught.value.cause.details[0])
    step = result.results[0].steps_executed[0]
    assert step.status == "interrupted"
    assert "interrupted: the local worker died while the step ran" in result.results[0].error
    assert (notes(ledger, "START"), notes(ledger, "END")) == (["server-1"], [])


async def test_what_a_terminated_rollout_left_running_is_ended(fleet, tmp_path):
    ledger, hold = tmp_path / "ledger", tmp_path / "hold"
    handle = await start_held(fleet, ledger, hold)
    client = await connect(fleet.address)
    kill(fleet, "server-1")
    await client.get_workflow_handle(names.server_execution_id("server-1")).terminate()
    await handle.terminate()
    assert script_processes("server-1")
    await until(lambda: not script_processes("server-1"))
    assert notes(ledger, "END") == []


async def until_it_sleeps(fleet, server_id):
    """Wait until Temporal has the first step's result: then its end is in the journal as well."""
    client = await connect(fleet.address)
    child = client.get_workflow_handle(names.server_execution_id(server_id))
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(RPCError):
                events = (await child.fetch_history()).events
                if any(event.HasField("timer_started_event_attributes") for event in events):
                    return
            await asyncio.sleep(0.05)


async def test_an_agent_that_died_between_steps_does_not_repeat_the_finished_one(fleet, tmp_path):
    ledger, hold = tmp_path / "ledger", tmp_path / "hold"
    sleep = {"name": "wait", "type": "sleep", "params": {"duration": "1s"}}
    first, last = ledger_step(ledger), ledger_step(ledger, hold=hold)
    handle = await start(
        fleet, {"servers": ["server-1"], "steps": [first, sleep, {**last, "name": "last"}]}
    )
    await until_it_sleeps(fleet, "server-1")
    kill(fleet, "server-1")
    hold.touch()
    result = await handle.result()
    assert result.success
    assert len(notes(ledger, "START")) == len(notes(ledger, "END")) == 2


def processes_with(marker: str):
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and marker in (folder / "environ").read_text().split("\0"):
                yield int(folder.name)
