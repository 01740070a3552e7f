"""At the limit, one byte below and one above it: a plan runs or is refused, and nothing hangs."""

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError

from kitsune import names
from kitsune.models.progress import Progress
from kitsune.models.requests import AbortRequest
from kitsune.rollout.limits import MAX_PLAN_BYTES, json_size
from support.bench import plan_of, statuses

#: Temporal's own limit for one payload.
BLOB = 2 * 1024 * 1024


def plan_of_size(bench, size):
    """Return a plan of exactly so many bytes as JSON, most of them in one message."""
    step = {"name": "say", "type": "echo", "params": {"message": ""}}
    plan = {"servers": [bench.id_of("a")], "steps": [step]}
    step["params"]["message"] = "x" * (size - json_size(plan))
    assert json_size(plan) == size
    return plan


@pytest.mark.parametrize("beyond", [-1, 0, 1])
async def test_a_plan_runs_up_to_the_limit_and_is_refused_beyond_it(bench, beyond):
    await bench.start_servers("a")
    plan = plan_of_size(bench, MAX_PLAN_BYTES + beyond)
    handle = await bench.start({**plan, "servers": ["a"]})
    if beyond <= 0:
        assert statuses(await bench.end_of(handle)) == {"a": "succeeded"}
        return
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert caught.value.cause.type == names.FAILURE_INVALID_PLAN
    assert f"{MAX_PLAN_BYTES + 1:,} bytes as JSON, the limit is" in caught.value.cause.message


@pytest.mark.parametrize("beyond", [-1000, 1])
async def test_an_order_of_any_size_is_taken_in_short_or_refused_and_never_wedges(bench, beyond):
    await bench.start_servers("a")
    handle = await bench.start(plan_of("a", hold="a"))
    await bench.probe.held.wait()
    order = {"reason": "x" * (BLOB + beyond - len('{"reason":""}'))}
    if beyond < 0:
        await handle.signal(names.PAUSE, order)
        await handle.execute_update(names.PAUSE, order)
    else:  # as an update the SDK takes it and chokes on its own answer for some 20 s: see critiques
        with pytest.raises(RPCError, match="exceeds"):
            await handle.signal(names.PAUSE, order)
    seen = await handle.query(names.QUERY_PROGRESS, result_type=Progress)
    assert seen.paused == (beyond < 0)
    assert all(len(record.reason) < 1000 for record in seen.orders)
    await handle.execute_update(names.ABORT, AbortRequest(actor="anna"))
    assert (await bench.end_of(handle)).status == "aborted"
