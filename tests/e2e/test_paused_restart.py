"""A pause outlives every process: all are killed, all come back, and the rollout ends as if nothing had been."""

import asyncio
import json
import os
import sys

import pytest

from kitsune import names
from kitsune.embedded.local_fleet import LocalFleet, client_environment
from support.bench import connect

pytestmark = pytest.mark.e2e

SERVERS = ["server-1", "server-2"]


async def kitsune(fleet, *arguments):
    """Run a command to its end and return its exit code and stdout."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kitsune",
        *arguments,
        env={**os.environ, **client_environment(fleet.address)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, out.decode()


async def until_status(fleet, holds):
    async with asyncio.timeout(120):
        while True:
            code, out = await kitsune(fleet, "status", "rollout", "-o", "json")
            if code == 0 and "counts" in (seen := json.loads(out)) and holds(seen):
                return seen
            await asyncio.sleep(0.2)


async def until_first_step_is_reported(fleet, server):
    client = await connect(fleet.address)
    child = client.get_workflow_handle(names.server_execution_id(server))
    async with asyncio.timeout(60):
        while True:
            events = (await child.fetch_history()).events
            if any(event.HasField("activity_task_completed_event_attributes") for event in events):
                return
            await asyncio.sleep(0.05)


async def test_a_paused_rollout_survives_the_death_of_everything(tmp_path):
    log, go = tmp_path / "log", tmp_path / "go"
    wait = f"while ! [ -e {go} ]; do sleep 0.05; done"
    steps = [
        {"name": name, "type": "script", "params": {"inline": text}}
        for name, text in (
            ("one", f"echo one-$KITSUNE_SERVER_ID >> {log}; {wait}"),
            ("two", f"echo two-$KITSUNE_SERVER_ID >> {log}"),
        )
    ]
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"servers": SERVERS, "steps": steps}))
    state = tmp_path / "fleet"
    async with LocalFleet(state=state, servers=SERVERS) as fleet:
        assert (await kitsune(fleet, "run", str(plan), "--id", "rollout", "-d"))[0] == 0
        async with asyncio.timeout(60):
            while not log.exists() or len(log.read_text().split()) < len(SERVERS):
                await asyncio.sleep(0.05)
        paused = await kitsune(fleet, "pause", "rollout", "--reason", "night")
        assert paused == (0, "rollout: paused\n")
        go.touch()
        for server in SERVERS:
            await until_first_step_is_reported(fleet, server)
        fleet.kill()
    async with LocalFleet(state=state, servers=SERVERS) as fleet:
        seen = await until_status(fleet, lambda seen: "phase" in seen)
        assert seen["paused"] is True
        assert seen["orders"][0]["reason"] == "night"
        assert "two" not in log.read_text()
        assert await kitsune(fleet, "resume", "rollout") == (0, "rollout: resumed\n")
        code, out = await kitsune(fleet, "watch", "rollout", "-o", "json")
    result = json.loads(out)
    assert [order["verb"] for order in result["orders"]] == ["pause", "resume"]
    assert (code, result["counts"]) == (0, {"succeeded": 2}), out
    assert sorted(log.read_text().split()) == [
        f"{step}-{server}" for step in ("one", "two") for server in SERVERS
    ]
