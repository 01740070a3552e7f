"""The part `systems`: the same plan with every system, side by side."""

from statistics import median

from benchmarks.chart import write_chart
from benchmarks.parts import Options
from benchmarks.record import Entry
from benchmarks.rounds import run_rounds
from benchmarks.table import middle, milliseconds, number, seconds, spread, table
from benchmarks.temporal_fleet import calls_of
from benchmarks.workload import STEPS

#: What each way of measuring is compared with.
_BASE = {"client": "kitsune", "command": "kitsune-command"}
#: What Kitsune aims at: (slower one, faster one, ratio, whether it may be more).
_AIMS = (
    ("kitsune", "floor-child", 1.3, False),
    ("ansible-local", "kitsune-command", 15, True),
    ("ansible-ssh", "kitsune-command", 15, True),
    ("pyinfra", "kitsune-command", 8, True),
    ("salt", "kitsune-command", 4, True),
)
#: The aims are for so many servers: what is paid once weighs more on fewer.
_AIMED_SERVERS = 100


async def compare(options: Options) -> dict[str, str]:
    """Run the rounds and return tables by name."""
    missing = await run_rounds(
        options.systems,
        folder=options.folder,
        servers=options.servers,
        processes=options.processes,
        rounds=options.rounds,
        limit=options.limit,
        record=options.record,
    )
    by_name = {
        kind.name: options.record.of("systems", system=kind.name) for kind in options.systems
    }
    for name, entries in by_name.items():
        if not entries and name not in missing:
            missing[name] = "every run failed; see above"
    by_name = {name: entries for name, entries in by_name.items() if entries}
    if options.chart and by_name:
        title = f"{options.servers} servers x {STEPS} steps, seconds (median; line: least to most)"
        bars = [
            (name, middle(entries, "seconds") or 0, *_range(entries))
            for name, entries in by_name.items()
        ]
        write_chart(options.chart, title, bars)
    tables = {
        "systems": _systems_table(options, by_name) + _notes(options, missing),
        "targets": _targets_table(by_name) if options.servers == _AIMED_SERVERS else "",
        "costs": _costs_table(by_name),
    }
    if options.page and options.chart and options.chart.parent == options.page.parent:
        tables["chart"] = f"![seconds of each system]({options.chart.name})"
    return {place: text for place, text in tables.items() if text}


def _range(entries: list[Entry]) -> tuple[float, float]:
    took = [entry["seconds"] for entry in entries]
    return min(took), max(took)


def _systems_table(options: Options, by_name: dict[str, list[Entry]]) -> str:
    rows = []
    for kind in options.systems:
        if not (entries := by_name.get(kind.name)):
            continue
        base = middle(by_name.get(_BASE[kind.measured_as], []), "seconds")
        took = middle(entries, "seconds") or 0.0
        cpu = [sum(entry["cpu"].values()) for entry in entries]
        rows.append(
            (
                kind.name,
                seconds(took),
                spread([entry["seconds"] for entry in entries]),
                str(len(entries)),
                "" if base is None else f"{took / base:.2f}",
                kind.measured_as,
                milliseconds(median(cpu) / options.servers),
            )
        )
    head = (
        "system",
        "median",
        "least to most, s",
        "runs",
        "ratio",
        "measured as",
        "CPU per server",
    )
    return table(head, rows)


def _targets_table(by_name: dict[str, list[Entry]]) -> str:
    """Return how far Kitsune is from what it aims at, each figure as one of this run."""
    rows = []
    for slow, fast, aim, at_least in _AIMS:
        upper, lower = (middle(by_name.get(name, []), "seconds") for name in (slow, fast))
        if upper is None or lower is None:
            continue
        ratio = upper / lower
        reached = ratio >= aim if at_least else ratio <= aim
        bound = "at least" if at_least else "at most"
        rows.append(
            (f"`{slow}` / `{fast}`", f"{bound} {aim:g}", f"{ratio:.2f}", "yes" if reached else "no")
        )
    return table(("ratio of medians", "aim", "measured", "reached"), rows) if rows else ""


def _notes(options: Options, missing: dict[str, str]) -> str:
    lines = ["", "", f"{options.servers} servers x {STEPS} steps; how each is set up:", ""]
    lines += [
        f"- `{kind.name}`: {kind.how}." for kind in options.systems if kind.name not in missing
    ]
    lines += [f"- `{name}` is missing here: {why}." for name, why in missing.items()]
    return "\n".join(lines)


def _costs_table(by_name: dict[str, list[Entry]]) -> str:
    """Return what a rollout costs for each server, as far as Temporal is in it."""
    rows = []
    for name, entries in by_name.items():
        if middle(entries, "rollout_events") is None:
            continue
        servers = entries[0]["servers"]
        calls = median(calls_of(entry["requests"]) for entry in entries)
        rollout_events = (middle(entries, "rollout_events") or 0) + (
            middle(entries, "shard_events") or 0
        )
        rollout_tasks = (middle(entries, "rollout_tasks") or 0) + (
            middle(entries, "shard_tasks") or 0
        )
        cpu = [middle(entries, "cpu", kind) for kind in ("temporal", "orchestrator", "agents")]
        rows.append(
            (
                name,
                number(rollout_events / servers, 1),
                number(middle(entries, "server_events")),
                number(rollout_tasks / servers, 2),
                number(middle(entries, "server_tasks")),
                number(calls / servers, 1),
                *(milliseconds(None if used is None else used / servers) for used in cpu),
                seconds(middle(entries, "first_step")),
            )
        )
    head = (
        *(
            "per server",
            "events of the rollout",
            "of the server",
            "tasks of the rollout",
            "of the server",
        ),
        *("calls", "CPU of Temporal", "orchestrator", "local workers", "first step after"),
    )
    return table(head, rows) if rows else ""
