"""What Kitsune costs where that can be counted: upper bounds, to be lowered with every gain and never raised in silence.

Seconds are measured by `make bench` and asserted nowhere.
"""

import subprocess
import sys
from itertools import accumulate

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import MetricBuffer, Runtime, TelemetryConfig

from kitsune import names
from support.bench import Bench

#: The most that each may be. The steps are `echo` with eight letters; bytes leave room for longer times and ids.
BOUNDS = {
    # In the rollout's own history. Its workflow tasks are fewer where servers answer at the same moment:
    # each server is asked, starts and ends, so there are never more than three for it and a few for all.
    "rollout: events beside workflow tasks, of itself": 9,
    "rollout: events beside workflow tasks, per server": 6,
    "rollout: workflow tasks, per server": 3.5,
    "rollout: payload bytes, per server": 2400,
    # The steps stand in the questions to the servers, in their orders and in their results.
    "rollout: payload bytes, per server and step": 1180,
    # In the history of a server's workflow, events of workflow tasks included. Quick steps leave a marker each;
    # the rest is room for the one workflow task that keeps a very slow machine's steps alive.
    "server: events, of itself": 5,
    "server: events, per quick step": 1.6,
    "server: workflow tasks, of itself": 1,
    "server: workflow tasks, per quick step": 0.2,
    "server: payload bytes, of itself": 720,
    "server: payload bytes, per quick step": 1080,
    # A script is an activity of its own: it may take long, and is watched.
    "server: events, per script": 6,
    "server: workflow tasks, per script": 1,
    "server: payload bytes, per script": 1560,
    # Long polls that an agent keeps open: Temporal refuses more than 1,200 of a kind unless it is told otherwise.
    "agent: polls for workflow tasks": 1,
    "agent: polls for sticky workflow tasks": 1,
    "agent: polls for activity tasks": 1,
    "agent: polls for nexus tasks": 1,
    # Modules that a command imports beside those of a bare Python, its standard library included.
    "kitsune --help: modules": 95,
    "kitsune status --help: modules": 350,
    "kitsune run --help: modules": 350,
}
_WORKFLOW_TASKS = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
}


class History:
    def __init__(self, events):
        self.events = len(events)
        self.tasks = sum(
            event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED for event in events
        )
        self.others = sum(event.event_type not in _WORKFLOW_TASKS for event in events)
        self.bytes = sum(len(payload.data) for event in events for payload in payloads(event))


def payloads(message):
    """Yield every payload within a message."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        values = [value] if isinstance(value, Message) else value
        values = values.values() if hasattr(values, "values") else values
        for one in values:
            if isinstance(one, Message):
                yield from payloads(one)


async def history_of(handle):
    return History([event async for event in handle.fetch_history_events()])


async def starting_at_once(handle):
    """Return the most servers whose start was ordered and not yet confirmed, at any moment."""
    steps = {
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED: 1,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED: -1,
    }
    events = [event async for event in handle.fetch_history_events()]
    return max(accumulate(steps.get(event.event_type, 0) for event in events))


def quick(count):
    return [
        {"name": f"step-{number}", "type": "echo", "params": {"message": "12345678"}}
        for number in range(10, 10 + count)
    ]


def scripts(count):
    return [
        {"name": f"step-{number}", "type": "script", "params": {"command": "true"}}
        for number in range(10, 10 + count)
    ]


async def roll_out(bench, servers, steps):
    """Run steps and return the histories of the rollout and of its first server."""
    handle = await bench.start({"servers": servers, "steps": steps})
    assert (await handle.result()).success
    server = bench.client.get_workflow_handle(names.server_execution_id(bench.id_of(servers[0])))
    return await history_of(handle), await history_of(server)


#: What may cost nothing at all.
_FREE = {"server: workflow tasks, per quick step"}


def require_within_bounds(costs):
    uncounted = [what for what, cost in costs.items() if cost <= 0 and what not in _FREE]
    assert uncounted == []
    too_dear = {what: cost for what, cost in costs.items() if cost > BOUNDS[what]}
    assert too_dear == {}, {what: BOUNDS[what] for what in too_dear}


async def test_servers_start_ten_at_a_time_and_do_not_wait_for_each_other_in_temporal(bench):
    servers = [f"s{number}" for number in range(24)]
    await bench.start_servers(*servers)
    handle = await bench.start({"servers": servers, "steps": quick(1)})
    assert (await handle.result()).success
    assert await starting_at_once(handle) == 10


async def test_a_rollout_costs_no_more_history_than_it_did(bench):
    servers = [f"s{number}" for number in range(6)]
    await bench.start_servers(*servers)
    one, server = await roll_out(bench, servers[:1], quick(1))
    several, _ = await roll_out(bench, servers, quick(1))
    long, long_server = await roll_out(bench, servers[:1], quick(6))
    more, further = len(servers) - 1, 5
    others = (several.others - one.others) / more
    events = (long_server.events - server.events) / further
    tasks = (long_server.tasks - server.tasks) / further
    size = (long_server.bytes - server.bytes) / further
    require_within_bounds(
        {
            "rollout: events beside workflow tasks, of itself": one.others - others,
            "rollout: events beside workflow tasks, per server": others,
            "rollout: workflow tasks, per server": several.tasks / len(servers),
            "rollout: payload bytes, per server": (several.bytes - one.bytes) / more,
            "rollout: payload bytes, per server and step": (long.bytes - one.bytes) / further,
            "server: events, of itself": server.events - events,
            "server: events, per quick step": events,
            "server: workflow tasks, of itself": server.tasks - tasks,
            "server: workflow tasks, per quick step": tasks,
            "server: payload bytes, of itself": server.bytes - size,
            "server: payload bytes, per quick step": size,
        }
    )


async def test_a_script_costs_no_more_history_than_it_did(bench):
    await bench.start_servers("s")
    _, one = await roll_out(bench, ["s"], scripts(1))
    _, four = await roll_out(bench, ["s"], scripts(4))
    require_within_bounds(
        {
            "server: events, per script": (four.events - one.events) / 3,
            "server: workflow tasks, per script": (four.tasks - one.tasks) / 3,
            "server: payload bytes, per script": (four.bytes - one.bytes) / 3,
        }
    )


async def test_an_agent_keeps_few_polls_open(temporal_server, bench, tmp_path):
    """Counted by the SDK of a process that runs one agent, after that agent has done some work."""
    metrics = MetricBuffer(10_000)
    client = await Client.connect(
        temporal_server.address,
        data_converter=pydantic_data_converter,
        runtime=Runtime(telemetry=TelemetryConfig(metrics=metrics)),
    )
    alone = Bench(client, tmp_path / "alone")
    alone.prefix = bench.prefix
    await alone.start_servers("s")
    try:
        result = await bench.run(
            {
                "servers": ["s"],
                "steps": [{"name": "say", "type": "echo", "params": {"message": "hi"}}],
            }
        )
        assert result.success
        polls = {}
        for update in metrics.retrieve_updates():
            if update.metric.name == "temporal_num_pollers":
                kind = f"agent: polls for {update.attributes['poller_type'].replace('_', ' ')}s"
                polls[kind] = max(polls.get(kind, 0), update.value)
    finally:
        await alone.close()
    assert polls["agent: polls for activity tasks"] == 1
    require_within_bounds(polls)


@pytest.mark.parametrize("words", [("--help",), ("status", "--help"), ("run", "--help")])
def test_a_command_that_only_explains_imports_little(words):
    code = (
        "import sys; before = set(sys.modules); from kitsune.cli.main import run_command;"
        f"code = run_command({list(words)!r});"
        "now = sys.modules.keys() - before; print(len(now), file=sys.stderr);"
        "sys.exit('imports temporalio' if 'temporalio' in now else int(code))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    require_within_bounds({f"kitsune {' '.join(words)}: modules": int(done.stderr)})
