"""The parts `growth` and `steps`: how cost grows with servers, and with steps."""

import asyncio
import time
from statistics import median
from typing import Any

from benchmarks.parts import Options
from benchmarks.rounds import say as tell
from benchmarks.table import Row, figure, milliseconds, number, seconds, table
from benchmarks.temporal_fleet import Kind, TemporalFleet, calls_of, polls_of
from benchmarks.workload import content_of, four_steps, make_places, plan_for, require_written, say
from kitsune import names

_KINDS: dict[str, Kind] = {"kitsune": "kitsune", "floor-child": "floor"}
_FEW, _MANY = 1, 9
#: Seconds: a poll of a worker that waits lasts for a minute.
_SETTLE, _REST = 15.0, 120.0


async def measure_growth(options: Options) -> dict[str, str]:
    """Run four steps on fleets of growing sizes, each on a fresh Temporal, and return tables by name."""
    rows: list[Row] = []
    for servers in options.sizes:
        for name, kind in _KINDS.items():
            tell(f"{servers:,} servers: {name}")
            grown = _grow(options, name, kind, servers)
            rows += await options.try_for("growth", grown, system=name, servers=servers)
    head = (
        *("servers", "system", "time", "per server", "first step after", "start of the fleet"),
        *("CPU of Temporal", "orchestrator", "local workers"),
        *("MB of Temporal", "MB of the orchestrator", "MB of all local workers"),
    )
    rest_head = (
        *("at rest, per server and second", "servers", "CPU of Temporal", "local workers"),
        "polls a minute",
    )
    resting = [_rest_row(entry) for entry in options.record.of("growth", at_rest=True)]
    return {"growth": table(head, rows), "rest": table(rest_head, resting)}


async def _grow(options: Options, name: str, kind: Kind, servers: int) -> list[Row]:
    folder = options.folder / f"growth-{name}-{servers}"
    folder.mkdir()
    fleet = TemporalFleet(kind, folder, servers=servers, processes=options.processes)
    files = folder / "files"
    make_places(files, fleet.servers)
    try:
        began = time.perf_counter()
        await fleet.start(limit=options.limit)
        started = time.perf_counter() - began
        rest = fleet.memory()
        if servers == max(options.sizes):
            await _rest(options, name, fleet)
        few = fleet.servers[:10]
        await roll_out(
            fleet, "warm-up", _given(kind, few, four_steps(files, content_of(0))), options
        )
        given = _given(kind, fleet.servers, four_steps(files, content_of(1)))
        facts = await roll_out(fleet, "grow", given, options)
        if kind == "kitsune":
            require_written(files, fleet.servers, 1)
    finally:
        await fleet.stop()
    entry = options.record.add(
        "growth", system=name, servers=servers, fleet_start=started, memory_at_rest=rest, **facts
    )
    return [_growth_row(entry)]


async def _rest(options: Options, name: str, fleet: TemporalFleet) -> None:
    """Record what a fleet costs that waits for work."""
    tell(f"{_REST:.0f} s of rest")
    await asyncio.sleep(_SETTLE)
    servers, cpu, polls = len(fleet.servers), fleet.cpu(), polls_of(await fleet.requests())
    began = time.perf_counter()
    await asyncio.sleep(_REST)
    took = time.perf_counter() - began
    used = {kind: (now - cpu[kind]) / took / servers for kind, now in fleet.cpu().items()}
    polled = (polls_of(await fleet.requests()) - polls) / took / servers
    options.record.add(
        "growth",
        system=name,
        at_rest=True,
        servers=servers,
        cpu=used,
        polls=polled,
        seconds=took,
    )


def _rest_row(entry: dict[str, Any]) -> Row:
    parts = (f"{entry['cpu'][kind] * 1000:.3f} ms" for kind in ("temporal", "agents"))
    return (entry["system"], f"{entry['servers']:,}", *parts, number(entry["polls"] * 60, 1))


def _growth_row(entry: dict[str, Any]) -> Row:
    servers, cpu, memory = entry["servers"], entry["cpu"], entry["memory"]
    return (
        f"{servers:,}",
        entry["system"],
        seconds(entry["seconds"]),
        milliseconds(entry["seconds"] / servers),
        seconds(entry.get("first_step")),
        seconds(entry["fleet_start"]),
        *(seconds(cpu[kind]) for kind in ("temporal", "orchestrator", "agents")),
        *(number(memory[kind]) for kind in ("temporal", "orchestrator", "agents")),
    )


async def measure_steps(options: Options) -> dict[str, str]:
    """Run one step and nine on the same servers, and return what each further one costs, in tables by name."""
    rows: list[Row] = []
    for name, kind in _KINDS.items():
        tell(f"{name}: {_FEW} step, then {_MANY}, {options.rounds} times")
        rows += await options.try_for("steps", _compare_steps(options, name, kind), system=name)
    head = (
        *("each further step, per server", "time", "events", "workflow tasks", "calls"),
        *("bytes of history", "CPU of Temporal", "orchestrator", "local workers"),
    )
    return {"steps": table(head, rows)}


async def _compare_steps(options: Options, name: str, kind: Kind) -> list[Row]:
    folder = options.folder / f"steps-{name}"
    folder.mkdir()
    fleet = TemporalFleet(kind, folder, servers=options.servers, processes=options.processes)
    few: list[dict[str, Any]] = []
    many: list[dict[str, Any]] = []
    try:
        await fleet.start(limit=options.limit)
        await roll_out(fleet, "warm-up", _given(kind, fleet.servers, [say("step")]), options)
        for turn in range(options.rounds):
            for count, kept in ((_FEW, few), (_MANY, many)):
                steps = [say(f"step-{step}") for step in range(count)]
                given = _given(kind, fleet.servers, steps)
                facts = await roll_out(fleet, f"steps-{turn}-{count}", given, options)
                about = {"system": name, "servers": options.servers, "steps": count}
                kept.append(options.record.add("steps", **about, **facts))
    finally:
        await fleet.stop()
    return [_steps_row(name, few, many)]


def _steps_row(name: str, few: list[dict[str, Any]], many: list[dict[str, Any]]) -> Row:
    def each(*path: str, per_server: bool = True) -> float:
        difference: float = median(
            figure(more, *path) - figure(less, *path) for less, more in zip(few, many, strict=True)
        )
        servers = few[0]["servers"] if per_server else 1
        return difference / (_MANY - _FEW) / servers

    return (
        name,
        milliseconds(each("seconds")),
        number(each("server_events", per_server=False), 1),
        number(each("server_tasks", per_server=False), 1),
        number(each("calls"), 1),
        number(each("server_bytes", per_server=False)),
        *(milliseconds(each("cpu", kind)) for kind in ("temporal", "orchestrator", "agents")),
    )


def _given(kind: Kind, servers: list[str], steps: list[dict[str, Any]]) -> list[Any]:
    return [plan_for(servers, steps)] if kind == "kitsune" else [servers, len(steps)]


async def roll_out(
    fleet: TemporalFleet, rollout_id: str, given: list[Any], options: Options
) -> dict[str, Any]:
    """Run one rollout and return what it took."""
    ours = fleet.kind == "kitsune"
    workflow = names.ORCHESTRATION_WORKFLOW if ours else "FloorFleet"
    servers = given[0]["servers"] if ours else given[0]
    work = fleet.finish(workflow, given, rollout_id=rollout_id, limit=options.limit)
    took, facts = await fleet.observe(rollout_id, servers, work)
    if "first_step" not in facts:
        raise RuntimeError("a rollout ended without a step")
    return facts | {"seconds": took, "calls": calls_of(facts["requests"])}
