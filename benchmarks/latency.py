"""The part `latency`: one step on one idle server, with the processes that an operator runs."""

import asyncio
import time
from typing import Any

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from benchmarks.growth import roll_out
from benchmarks.history import read_story
from benchmarks.parts import Options
from benchmarks.rounds import say as tell
from benchmarks.table import milliseconds, table
from benchmarks.temporal_fleet import TemporalFleet
from benchmarks.workload import plan_for, say
from kitsune import names
from kitsune.embedded.local_fleet import LocalFleet

_WARM_UP = 3
#: Between two orders, for an idle fleet: Temporal puts off what follows too fast (decision 15).
_PAUSE = 1.0
_SERVER = "server-1"
#: Servers that take their turns, and how often they do.
_IN_TURN, _TURNS = 40, 5


async def measure_latency(options: Options) -> dict[str, str]:
    """Run one step on one server again and again and return tables by name."""
    rows = []
    for on_file in (False, True):
        name = "kitsune-file" if on_file else "kitsune"
        tell(f"{name}: {options.samples} rollouts")
        folder = options.folder / f"latency-{name}"
        async with LocalFleet(state=folder, servers=[_SERVER], in_memory=not on_file) as fleet:
            client = await Client.connect(fleet.address, data_converter=pydantic_data_converter)
            given: list[Any] = [plan_for([_SERVER], [say("step")])]
            rows += await _sample(
                options,
                name,
                client,
                workflow=names.ORCHESTRATION_WORKFLOW,
                given=given,
                queue=names.ORCHESTRATOR_QUEUE,
            )
    tell(f"floor-child: {options.samples} rollouts")
    folder = options.folder / "latency-floor"
    folder.mkdir()
    floor = TemporalFleet("floor", folder, servers=1, processes=1)
    try:
        await floor.start(limit=options.limit)
        given = [[_SERVER], 1]
        queue = floor.orchestrator_queue
        rows += await _sample(
            options, "floor-child", floor.client, workflow="FloorFleet", given=given, queue=queue
        )
    finally:
        await floor.stop()
    rows.append(await _take_turns(options))
    head = ("one step on one idle server", "median", "p99", "least", "most")
    return {"latency": table(head, rows)}


async def _take_turns(options: Options) -> tuple[str, ...]:
    """Return how long each of several servers takes that come one after the other."""
    tell(f"kitsune: {_IN_TURN} servers, one after the other")
    folder = options.folder / "latency-turns"
    folder.mkdir()
    fleet = TemporalFleet("kitsune", folder, servers=_IN_TURN, processes=1)
    given = plan_for(fleet.servers, [say("step")]) | {"rolloutStrategy": {"type": "Sequential"}}
    took = []
    try:
        await fleet.start(limit=options.limit)
        for turn in range(_TURNS + 1):
            facts = await roll_out(fleet, f"turns-{turn}", [given], options)
            if turn:  # the first warms up
                took.append(facts["seconds"] / _IN_TURN)
                options.record.add("latency", system="kitsune", in_turn=_IN_TURN, seconds=took[-1])
    finally:
        await fleet.stop()
    return _row(f"kitsune: each of {_IN_TURN} servers in turn", took)


async def _sample(
    options: Options, name: str, client: Client, *, workflow: str, given: list[Any], queue: str
) -> list[tuple[str, ...]]:
    whole, first, on_server = [], [], []
    for number in range(options.samples + _WARM_UP):
        await asyncio.sleep(_PAUSE)
        ordered, began = time.time(), time.perf_counter()
        async with asyncio.timeout(options.limit):
            await client.execute_workflow(
                workflow, args=given, id=f"latency-{number}", task_queue=queue
            )
        took = time.perf_counter() - began
        handle: Any = client.get_workflow_handle(names.server_execution_id(_SERVER))
        events = [event async for event in handle.fetch_history_events()]
        began_at = read_story(events).first_step
        if began_at is None:
            raise RuntimeError("a rollout ended without a step")
        if number >= _WARM_UP:
            whole.append(took)
            first.append(began_at.timestamp() - ordered)
            on_server.append(_between(events[0], events[-1]))
            options.record.add(
                "latency", system=name, seconds=took, first_step=first[-1], on_server=on_server[-1]
            )
    return [
        _row(f"{name}: order to result", whole),
        _row(f"{name}: order to start of the step", first),
        _row(f"{name}: the server's workflow", on_server),
    ]


def _between(first: HistoryEvent, last: HistoryEvent) -> float:
    return (last.event_time.ToNanoseconds() - first.event_time.ToNanoseconds()) / 1e9


def _row(name: str, took: list[float]) -> tuple[str, ...]:
    ordered = sorted(took)
    figures = (quantile(ordered, 0.5), quantile(ordered, 0.99), ordered[0], ordered[-1])
    return (name, *(milliseconds(figure) for figure in figures))


def quantile(ordered: list[float], share: float) -> float:
    """Return the value that this share of sorted values does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
