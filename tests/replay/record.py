"""Record histories of every workflow type: `python tests/replay/record.py NAME` (NAME as in 0.1.0).

Run it when a workflow has changed, and keep the old folders: histories of released code must replay for ever.
"""

import asyncio
import json
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from kitsune import names
from kitsune.embedded.server import EmbeddedServer
from kitsune.models.requests import AbortRequest
from kitsune.webhooks.settings import load_receivers
from support.bench import Bench, connect, plan_of
from support.receiver import Receiver

FOLDER = Path(__file__).parent / "histories"


async def record(version: str) -> None:
    folder = FOLDER / version
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as state:
        async with EmbeddedServer() as server:
            bench = Bench(await connect(server.address), Path(state))
            bench.prefix = "fleet"
            await bench.start_orchestrator()
            await bench.start_servers("a", "b", "c")
            await _record_all(bench, folder)
            await _record_steered(bench, folder)
            await _record_sharded(bench, folder)
            await _record_quick(bench, folder)
            await _record_many(bench, folder)
            await _record_survivor(bench, folder)
            await bench.close()
            await _record_told(server.address, Path(state) / "told", folder)
    await _record_long(folder)


async def _record_told(address: str, state: Path, folder: Path) -> None:
    """A rollout that tells a webhook, and one of its messages."""
    with Receiver(503, 200) as receiver:
        state.mkdir()
        path = state / "webhooks.json"
        path.write_text(json.dumps({"webhooks": [{"name": "ops", "url": receiver.address}]}))
        bench = Bench(await connect(address), state)
        bench.prefix = "told"
        await bench.start_orchestrator(receivers=load_receivers(str(path), {}))
        await bench.start_servers("a", "b")
        handle = await bench.start(plan_of("ab", {"type": "Rolling", "approval": "everyBatch"}))
        await bench.until_progress(handle, lambda seen: seen.gate is not None)
        await handle.execute_update(names.PAUSE, {"actor": "anna"})
        await handle.execute_update(names.RESUME, {"actor": "anna"})
        await handle.execute_update(names.APPROVE, {"gate": "batch-1"})
        await bench.end_of(handle)
        await asyncio.to_thread(receiver.wait_for, lambda seen: len(seen) > 5)
        await _save(bench, folder, "told", rollout=handle)
        run_id = handle.first_execution_run_id
        message = bench.client.get_workflow_handle(names.webhook_id(f"{run_id}.1", "ops"))
        await message.result()
        _write(folder / "told.webhook.json", await message.fetch_history())
        await bench.close()


async def _record_all(bench: Bench, folder: Path) -> None:
    canary = {"type": "Canary", "batchSize": 1, "canarySoakSeconds": 0.1, "batchDelaySeconds": 0.1}
    sleep = {"name": "wait", "type": "sleep", "params": {"duration": "50ms"}}
    good = plan_of("abc", canary)
    good["steps"].append(sleep)
    await bench.run(good)
    await _save(bench, folder, "succeeded", rollout=bench.rollouts[-1], server="a")

    fleet = {**plan_of("abc", {"type": "Rolling"}, fail="c"), "rollback": {"scope": "fleet"}}
    await bench.run(fleet)
    await _save(bench, folder, "stopped", rollout=bench.rollouts[-1], server="c")
    await _save(bench, folder, "rolled-back", server="b")

    bench.probe.released.clear()
    handle = await bench.start(plan_of("ab", {"type": "Sequential"}, hold="a"))
    await bench.until_progress(handle, lambda seen: seen.counts.get("running") == 1)
    await bench.probe.held.wait()
    taken = await bench.start({**plan_of("a"), "busy": {"timeout": "1s"}})
    await bench.end_of(taken)
    await _save(bench, folder, "taken", rollout=taken)
    await handle.execute_update(names.ABORT, AbortRequest(actor="anna", rollback=True))
    await bench.end_of(handle)
    await _save(bench, folder, "aborted", rollout=handle)

    away = await bench.start(
        {**plan_of(["a", "gone"], {"maxFailures": 1}), "unreachable": {"timeout": 1}}
    )
    await bench.end_of(away)
    await _save(bench, folder, "unreachable", rollout=away)


async def _record_steered(bench: Bench, folder: Path) -> None:
    bench.probe.released.clear()
    bench.probe.held.clear()
    gates = {"type": "Rolling", "approval": "everyBatch", "progressDeadline": "1h"}
    plan = {**plan_of("ab", gates), "deadline": "1h"}
    plan["steps"][0]["params"] = {"hold": ["a"]}
    handle = await bench.start(plan)
    await bench.probe.held.wait()
    await handle.execute_update(names.PAUSE, {"actor": "anna", "reason": "lunch"})
    await asyncio.sleep(1)
    bench.probe.released.set()
    await asyncio.sleep(1)
    await _save(bench, folder, "paused-unfinished", rollout=handle, server="a")
    await handle.execute_update(names.RESUME, {"actor": "ben"})
    await bench.until_progress(handle, lambda seen: seen.gate is not None)
    await _save(bench, folder, "gate-unfinished", rollout=handle)
    await handle.execute_update(names.APPROVE, {"gate": "batch-1"})
    await bench.end_of(handle)
    await _save(bench, folder, "paused-and-approved", rollout=handle, server="a")

    bench.probe.fail_when_released = True
    ask = {"type": "Sequential", "onFailure": "ask"}
    handle = await bench.start(plan_of("ab", ask, hold="a"))
    await bench.until_progress(handle, lambda seen: seen.counts.get("held") == 1)
    bench.probe.fail_when_released = False
    await handle.execute_update(names.RETRY, {"serverId": bench.id_of("a")})
    await bench.end_of(handle)
    await _save(bench, folder, "held-and-retried", rollout=handle, server="a")

    undone = {
        "rolloutId": handle.id,
        "runId": handle.first_execution_run_id,
        "begun": {bench.id_of(name): 2 for name in "ab"},
        "generations": {bench.id_of("a"): [0, 1]},
    }
    again = await bench.start({**plan_of("ab", {"type": "Sequential"}), "rollbackOf": undone})
    await bench.end_of(again)
    await _save(bench, folder, "rollback-of", rollout=again, server="a")

    wire = await bench.start_separate_server("d")
    bench.probe.released.clear()
    gone = {"unreachable": {"timeout": 2}, "heartbeatTimeout": 3, "rollback": {"deadline": "20s"}}
    handle = await bench.start({**plan_of("d", hold="d"), **gone})
    await bench.until(lambda: ("execute", "two", "d") in bench.probe.ledger)
    wire.cut()
    await bench.until_progress(handle, lambda seen: "rollbackPending" in seen.counts)
    bench.probe.released.set()
    wire.mend()
    await bench.end_of(handle)
    await _save(bench, folder, "pending-rollback", rollout=handle)

    patient = {"unreachable": {"policy": "wait", "timeout": 12, "maxUnreachable": "50%"}}
    handle = await bench.start({**plan_of(["a", "never"]), **patient})
    await bench.end_of(handle)
    await _save(bench, folder, "waited-for", rollout=handle)


async def _record_sharded(bench: Bench, folder: Path) -> None:
    """Three batches, of which two share a shard; most servers are away, which is quicker."""
    away = [f"gone{number}" for number in range(199)]
    servers = ["a", *away[:89], "c", *away[89:178], "b", *away[178:]]
    strategy = {"type": "Rolling", "batchSize": [90, 90, 22], "batchDelaySeconds": 0.1}
    skip = {"policy": "skip", "timeout": 1}
    plan = {**plan_of(servers, strategy, fail="b"), "unreachable": skip}
    # The shards' ids begin with it, and a replay takes the name of the file for it.
    rollout_id = "sharded.orchestration"
    rollout = await bench.start({**plan, "rollback": {"scope": "fleet"}}, rollout_id=rollout_id)
    await bench.end_of(rollout)
    await _save(bench, folder, "sharded", rollout=rollout)
    shard = bench.client.get_workflow_handle(f"{rollout.id}/shard-1")
    _write(folder / "sharded.shard.json", await shard.fetch_history())


async def _record_quick(bench: Bench, folder: Path) -> None:
    """Steps that run as local activities: one that is tried again, one that fails, and their undoing."""
    bench.probe.quick = True
    plan = plan_of("a", fail="a")
    plan["retryPolicy"] = {"initialInterval": "1s", "maximumAttempts": 2}
    plan["steps"] += [{"name": "never", "type": "probe", "params": {}}]
    await bench.run(plan)
    await _save(bench, folder, "quick", rollout=bench.rollouts[-1], server="a")
    bench.probe.quick = False


async def _record_many(bench: Bench, folder: Path) -> None:
    """More servers than start at once."""
    servers = [f"s{number}" for number in range(12)]
    await bench.start_servers(*servers)
    await bench.run(plan_of(servers))
    await _save(bench, folder, "many", rollout=bench.rollouts[-1])


async def _record_survivor(bench: Bench, folder: Path) -> None:
    """An abort that does not end a process; needs root and the freezer of cgroup v1, which holds it."""
    frozen = Path("/sys/fs/cgroup/freezer/kitsune-record")
    frozen.mkdir()
    try:
        script = {"inline": f"echo $$ > {frozen}/cgroup.procs; sleep 300", "killGrace": 0}
        step = {"name": "stuck", "type": "script", "params": script}
        handle = await bench.start({"servers": ["a"], "steps": [step]})
        while not (frozen / "cgroup.procs").read_text():
            await asyncio.sleep(0.1)
        (frozen / "freezer.state").write_text("FROZEN")
        await handle.execute_update(names.ABORT, AbortRequest(actor="anna"))
        await bench.end_of(handle)
        await _save(bench, folder, "aborted-and-still-running", server="a")
    finally:
        (frozen / "freezer.state").write_text("THAWED")
        while (frozen / "cgroup.procs").read_text():
            await asyncio.sleep(0.1)
        frozen.rmdir()


async def _record_long(folder: Path) -> None:
    """Both runs of a server's workflow whose history gets long early."""
    settings = {"limit.historyCount.suggestContinueAsNew": 30}
    with tempfile.TemporaryDirectory() as state:
        async with EmbeddedServer(settings=settings) as server:
            bench = Bench(await connect(server.address), Path(state))
            bench.prefix = "fleet"
            await bench.start_orchestrator()
            await bench.start_servers("a")
            plan = plan_of("a")
            plan["steps"] = [{**plan["steps"][0], "name": f"step-{n}"} for n in range(8)]
            await bench.run(plan)
            workflow_id = names.server_execution_id(bench.id_of("a"))
            found = bench.client.list_workflows(f"WorkflowId = '{workflow_id}'")
            runs = sorted([(run.start_time, run.run_id) async for run in found])
            for number, (_, run_id) in enumerate(runs, 1):
                run = bench.client.get_workflow_handle(workflow_id, run_id=run_id)
                _write(folder / f"long-{number}.server.json", await run.fetch_history())
            await bench.close()


async def _save(bench, folder, name, *, rollout=None, server=None) -> None:
    if rollout is not None:
        _write(folder / f"{name}.orchestration.json", await rollout.fetch_history())
    if server is not None:
        child = bench.client.get_workflow_handle(names.server_execution_id(bench.id_of(server)))
        _write(folder / f"{name}.server.json", await child.fetch_history())


def _write(path: Path, history) -> None:
    text = re.sub(r'"identity": "[^"]*"', '"identity": "recorded"', history.to_json())
    path.write_text(json.dumps(json.loads(text), indent=1) + "\n")
    print(path.name)


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1]))
