"""More orders than Temporal lets a workflow answer."""

import asyncio

from kitsune import names
from kitsune.embedded.server import EmbeddedServer
from kitsune.models.orders import PauseOrder, ResumeOrder
from kitsune.models.requests import AbortRequest
from kitsune.service.ordering import Accepted, give_order
from support.bench import Bench, connect, plan_of


async def test_a_flood_of_orders_takes_no_rollout_out_of_its_operators_hands(tmp_path):
    limits = {"history.maxTotalUpdates": 4, "history.maxInFlightUpdates": 2}
    async with EmbeddedServer(settings=limits) as server:
        bench = Bench(await connect(server.address), tmp_path)
        await bench.start_orchestrator()
        await bench.start_servers("a")
        handle = await bench.start(plan_of("a", hold="a"))
        await bench.probe.held.wait()
        floods = [give_order(handle, names.RESUME, ResumeOrder()) for _ in range(8)]
        answers = {answer.accepted for answer in await asyncio.gather(*floods)}
        assert answers == {Accepted.DONE, Accepted.SIGNALLED}
        paused = await give_order(handle, names.PAUSE, PauseOrder(actor="anna"))
        assert paused.accepted is Accepted.SIGNALLED
        await bench.until_progress(handle, lambda seen: seen.paused)
        await give_order(handle, names.ABORT, AbortRequest(actor="anna"))
        result = await bench.end_of(handle)
        assert (result.status, result.actor) == ("aborted", "anna")
        await bench.close()
