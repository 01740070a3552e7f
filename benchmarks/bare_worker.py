"""A worker with one empty workflow and one empty activity: the least memory that Temporal's SDK for Python needs.

`python -m benchmarks.bare_worker ADDRESS`; it ends with a signal. Imports nothing of Kitsune.
"""

import asyncio
import sys

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

QUEUE = "bare"


@activity.defn(name="bareActivity")
async def do_nothing() -> None:
    """Do nothing."""


@workflow.defn(name="BareWorkflow")
class BareWorkflow:
    """Does nothing."""

    @workflow.run
    async def run(self) -> None:
        """Do nothing."""


async def serve(address: str) -> None:
    """Poll until the process is ended."""
    client = await Client.connect(address, data_converter=pydantic_data_converter)
    async with Worker(client, task_queue=QUEUE, workflows=[BareWorkflow], activities=[do_nothing]):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
