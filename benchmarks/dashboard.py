"""The part `dashboard`: pages of a rollout on many servers, of which only the rollout pretends to run."""

import asyncio
import gzip
import re
import shutil
import time
import urllib.request
from collections import Counter
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

from temporalio import workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from benchmarks.parts import Options
from benchmarks.processes import cpu_of, look_at
from benchmarks.rounds import say as tell
from benchmarks.table import milliseconds, number, seconds, table
from benchmarks.workload import plan_for, say, server_names
from kitsune import names
from kitsune.embedded.local_fleet import KITSUNE, client_environment
from kitsune.embedded.local_processes import LocalProcess, clean_environment, open_log
from kitsune.embedded.server import EmbeddedServer
from kitsune.models.progress import BatchProgress, Phase, Progress, ProgressRequest, ServerProgress

_SIZES = (100, 1_000, 10_000)
_ROUNDS = 15
_BATCHES = 10
#: Of a hundred servers: what has failed and what runs; the rest has succeeded.
_FAILED, _RUNNING = 3, 10
_CELL = "#grid .cells > *"


@workflow.defn(name=names.ORCHESTRATION_WORKFLOW)
class PretendedRollout:
    """Answers what a rollout answers in its middle, and does nothing."""

    @workflow.init
    def __init__(self, plan: dict[str, Any]) -> None:
        self._began = workflow.now()
        self._name = plan["name"]
        share = -(-len(plan["servers"]) // _BATCHES)
        self._servers = [
            self._server(server, at, at // share) for at, server in enumerate(plan["servers"])
        ]
        self._counts = dict(Counter(server.state for server in self._servers))
        self._batches = [
            BatchProgress(index=index, servers=share, state="running") for index in range(_BATCHES)
        ]

    @workflow.run
    async def run(self, plan: dict[str, Any]) -> None:
        """Wait until the benchmark is over."""
        del plan
        await workflow.wait_condition(lambda: False)

    @workflow.query(name=names.QUERY_PROGRESS)
    def progress(self, request: ProgressRequest) -> Progress:
        """Return a page."""
        end = request.offset + request.limit
        return Progress(
            rollout_id=workflow.info().workflow_id,
            name=self._name,
            phase=Phase.RUNNING,
            total=len(self._servers),
            counts=self._counts,
            batch=0,
            batches=self._batches,
            batch_count=_BATCHES,
            started_at=self._began,
            servers=self._servers[request.offset : end],
            next_offset=end if end < len(self._servers) else None,
        )

    def _server(self, server: str, at: int, batch: int) -> ServerProgress:
        began = self._began - timedelta(seconds=60)
        one = ServerProgress(server_id=server, batch=batch, started_at=began, state="succeeded")
        if at % 100 < _FAILED:
            error = f"step 'deploy': exit code {at % 3 + 1}: /srv/app-{at} does not answer"
            return one.model_copy(
                update={"state": "failed", "error": error, "ended_at": self._began}
            )
        if at % 100 < _FAILED + _RUNNING:
            return one.model_copy(update={"state": "running"})
        return one.model_copy(update={"ended_at": self._began})


async def measure_dashboard(options: Options) -> dict[str, str]:
    """Ask for pages of rollouts of several sizes and return tables by name."""
    temporal = EmbeddedServer(log=options.folder / "dashboard-temporal.log")
    await temporal.start()
    try:
        client = await Client.connect(temporal.address, data_converter=pydantic_data_converter)
        async with Worker(
            client,
            task_queue=names.ORCHESTRATOR_QUEUE,
            workflows=[PretendedRollout],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            for servers in _SIZES:
                await client.start_workflow(
                    names.ORCHESTRATION_WORKFLOW,
                    plan_for(server_names(servers), [say("step")]),
                    id=f"bench-{servers}",
                    task_queue=names.ORCHESTRATOR_QUEUE,
                )
            rows = [await _measure(options, temporal.address, servers) for servers in _SIZES]
    finally:
        await temporal.stop()
    head = (
        *("servers", "first page", "page", "its CPU", "kB", "kB gzipped", "update", "kB gzipped"),
        *("MB of the dashboard", "drawn by Chromium"),
    )
    return {"dashboard": table(head, rows)}


async def _measure(options: Options, address: str, servers: int) -> tuple[str, ...]:
    """Look at one rollout through a dashboard that was just started."""
    tell(f"a page of {servers:,} servers")
    log = options.folder / f"dashboard-{servers}.log"
    with open_log(log) as output:
        dashboard = LocalProcess(
            "dashboard",
            [*KITSUNE, "dashboard", "--port", "0"],
            env=clean_environment(**client_environment(address)),
            output=output,
        )
    try:
        site = await _address_in(log, limit=options.limit)
        page, live = f"{site}/rollouts/bench-{servers}", "?part=live&grid=1"
        first, _ = await asyncio.to_thread(_ask, page, options.limit)
        cpu = cpu_of(dashboard.pid)
        asked = [await asyncio.to_thread(_ask, page, options.limit) for _ in range(_ROUNDS)]
        cpu = (cpu_of(dashboard.pid) - cpu) / _ROUNDS
        updates = [
            await asyncio.to_thread(_ask, page + live, options.limit) for _ in range(_ROUNDS)
        ]
        memory = look_at(dashboard.pid).rss
        drawn = await _draw(page, servers)
    finally:
        await dashboard.stop()
    size, update = len(asked[-1][1]), len(gzip.compress(updates[-1][1]))
    entry = options.record.add(
        "dashboard",
        servers=servers,
        first=first,
        seconds=median(took for took, _ in asked),
        cpu=cpu,
        bytes=size,
        gzipped=len(gzip.compress(asked[-1][1])),
        update=median(took for took, _ in updates),
        update_gzipped=update,
        memory=memory,
        drawn=drawn,
    )
    return (
        f"{servers:,}",
        *(milliseconds(entry[key]) for key in ("first", "seconds", "cpu")),
        *(number(entry[key] / 1000) for key in ("bytes", "gzipped")),
        milliseconds(entry["update"]),
        number(update / 1000, 1),
        number(memory),
        seconds(drawn),
    )


async def _address_in(log: Path, *, limit: float) -> str:
    """Return the address that a dashboard says when it is ready."""
    async with asyncio.timeout(limit):
        while True:
            if found := re.search(r"http://[^ /]+", await asyncio.to_thread(log.read_text)):
                return found[0]
            await asyncio.sleep(0.05)


def _ask(url: str, limit: float) -> tuple[float, bytes]:
    began = time.perf_counter()
    with urllib.request.urlopen(url, timeout=limit) as answer:  # noqa: S310 - http to our own process
        body = answer.read()
    return time.perf_counter() - began, body


async def _draw(url: str, servers: int) -> float | None:
    """Return seconds from asking for a page to its last cell, in a fresh Chromium; None where there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        tell("no Chromium: how long it draws is not measured")
        return None
    from playwright.async_api import async_playwright  # noqa: PLC0415 - one of the tests' own

    took = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(3):
            page = await browser.new_page()
            began = time.perf_counter()
            await page.goto(url)
            await page.evaluate("new Promise(requestAnimationFrame)")
            took.append(time.perf_counter() - began)
            if await page.locator(_CELL).count() != servers:
                raise RuntimeError("the page does not show every server")
            await page.close()
        await browser.close()
    return median(took)
