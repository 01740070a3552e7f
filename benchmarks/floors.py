"""What lies below Kitsune: the least that Temporal can do for the same work, with steps that do nothing."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from temporalio import activity, workflow

QUEUE: Final = "floor-orchestrator"
#: As many servers of one workflow as Kitsune gives to a shard.
_IN_SHARD: Final = 200
#: Starts under way at once: Temporal is slower with more.
_STARTING: Final = 10
_LIMIT = timedelta(minutes=30)


@activity.defn(name="FloorStep")
async def floor_step() -> None:
    """Do nothing."""


@workflow.defn(name="FloorServer")
class FloorServer:
    """A server's workflow: one activity per step, on its own queue."""

    @workflow.run
    async def run(self, server: str, steps: int) -> None:
        """Run the steps one after the other."""
        for _ in range(steps):
            await workflow.execute_activity(
                "FloorStep", task_queue=server, start_to_close_timeout=_LIMIT
            )


@workflow.defn(name="FloorFleet")
class FloorFleet:
    """A rollout: a child workflow for each server; in shards where they are many."""

    @workflow.run
    async def run(self, servers: Sequence[str], steps: int) -> None:
        """Run all servers at once."""
        if len(servers) > _IN_SHARD:
            shards = [
                servers[first : first + _IN_SHARD] for first in range(0, len(servers), _IN_SHARD)
            ]
            await asyncio.gather(
                *(
                    workflow.execute_child_workflow("FloorFleet", args=[shard, steps])
                    for shard in shards
                )
            )
            return
        turn = asyncio.Semaphore(_STARTING)

        async def run_server(server: str) -> None:
            async with turn:
                handle = await workflow.start_child_workflow(
                    "FloorServer", args=[server, steps], id=f"exec-{server}", task_queue=server
                )
            await handle

        await asyncio.gather(*(run_server(server) for server in servers))


@workflow.defn(name="FloorActivities")
class FloorActivities:
    """One activity for each server, for the whole plan."""

    @workflow.run
    async def run(self, servers: Sequence[str], steps: int) -> None:
        """Run all servers at once."""
        del steps
        await asyncio.gather(
            *(
                workflow.execute_activity(
                    "FloorStep", task_queue=server, start_to_close_timeout=_LIMIT
                )
                for server in servers
            )
        )
