"""The part `latency`: one step on one idle server, with the processes that an operator runs."""

import asyncio
import time
from statistics import median
from typing import Any

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from benchmarks.growth import roll_out
from benchmarks.history import read_story
from benchmarks.parts import Options
from benchmarks.rounds import say as tell
from benchmarks.table import Row, milliseconds, quantile, table
from benchmarks.temporal_fleet import TemporalFleet
from benchmarks.workload import plan_for, say
from kitsune import names
from kitsune.embedded.local_fleet import LocalFleet

_WARM_UP = 3
#: Samples below which no 99th percentile is told: it would be the most.
_FOR_P99 = 100
#: Between two orders, for an idle fleet: Temporal puts off what follows too fast (decision 15).
_PAUSE = 1.0
_SERVER = "server-1"
#: Servers that take their turns, and how often they do.
_IN_TURN, _TURNS = 40, 5


async def measure_latency(options: Options) -> dict[str, str]:
    """Run one step on one server again and again and return tables by name."""
    rows: list[Row] = []
    for name, work in (
        ("kitsune", _ask_kitsune(options, "kitsune", on_file=False)),
        ("kitsune-file", _ask_kitsune(options, "kitsune-file", on_file=True)),
        ("floor-child", _ask_floor(options, "floor-child")),
        ("kitsune-in-turn", _take_turns(options, "kitsune-in-turn")),
    ):
        rows += await options.try_for("latency", work, system=name)
    head = ("one step on one idle server", "samples", "median", "p99", "least", "most")
    return {"latency": table(head, rows)}


async def _ask_kitsune(options: Options, name: str, *, on_file: bool) -> list[Row]:
    folder = options.folder / f"latency-{name}"
    async with LocalFleet(state=folder, servers=[_SERVER], in_memory=not on_file) as fleet:
        client = await Client.connect(fleet.address, data_converter=pydantic_data_converter)
        return await _sample(
            options,
            name,
            client,
            workflow=names.ORCHESTRATION_WORKFLOW,
            given=[plan_for([_SERVER], [say("step")])],
            queue=names.ORCHESTRATOR_QUEUE,
        )


async def _ask_floor(options: Options, name: str) -> list[Row]:
    folder = options.folder / "latency-floor"
    folder.mkdir()
    floor = TemporalFleet("floor", folder, servers=1, processes=1)
    try:
        await floor.start(limit=options.limit)
        queue = floor.orchestrator_queue
        given = [[_SERVER], 1]
        return await _sample(
            options, name, floor.client, workflow="FloorFleet", given=given, queue=queue
        )
    finally:
        await floor.stop()


async def _take_turns(options: Options, name: str) -> list[Row]:
    """Measure how long each of several servers takes that come one after the other: a rollout's time, shared out."""
    tell(f"kitsune: {_IN_TURN} servers, one after the other, {_TURNS} times")
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
                options.record.add("latency", system=name, servers=_IN_TURN, seconds=took[-1])
    finally:
        await fleet.stop()
    return [_row(f"kitsune: each of {_IN_TURN} servers in turn", took)]


async def _sample(
    options: Options, name: str, client: Client, *, workflow: str, given: list[Any], queue: str
) -> list[Row]:
    tell(f"{name}: {options.samples} orders, {_PAUSE:.0f} s between two")
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


def _row(name: str, took: list[float]) -> Row:
    rare = quantile(took, 0.99) if len(took) >= _FOR_P99 else None
    figures = (median(took), rare, min(took), max(took))
    return (name, str(len(took)), *(milliseconds(figure) for figure in figures))
