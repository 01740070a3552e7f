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
from support.bench import Bench, connect, plan_of

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
