"""A worker that polls and does nothing, for tests of what starts and ends workers.

STAND_IN_TROUBLE: `silent` never polls, `stubborn` ignores SIGTERM, `dying` ends at once with code 7.
STAND_IN_DIARY: a file that gets a line when a stand-in starts and when it is ended.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollWorkflowTaskQueueRequest,
)
from temporalio.client import Client

NAME = os.environ.get("SERVER_ID", "execution-orchestrator")
TROUBLE = os.environ.get("STAND_IN_TROUBLE", "")


def note(line: str) -> None:
    with Path(os.environ["STAND_IN_DIARY"]).open("a") as diary:
        diary.write(f"{line} {NAME} {os.getpid()}\n")


async def main() -> None:
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    request = {"namespace": "default", "task_queue": TaskQueue(name=NAME), "identity": "stand-in"}
    await asyncio.gather(
        client.workflow_service.poll_workflow_task_queue(PollWorkflowTaskQueueRequest(**request)),
        client.workflow_service.poll_activity_task_queue(PollActivityTaskQueueRequest(**request)),
    )


def end(*_: object) -> None:
    note("ended")
    os._exit(0)


note("started")
if TROUBLE == "dying":
    sys.exit("out of luck")
signal.signal(signal.SIGTERM, signal.SIG_IGN if TROUBLE == "stubborn" else end)
if TROUBLE == "silent":
    signal.pause()
asyncio.run(main())
signal.pause()
