"""Who polls a task queue: how we know that a worker is at work, whatever it logs."""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from temporalio.client import Client


async def unserved_queues(client: "Client", queues: Iterable[str]) -> list[str]:
    """Return the task queues on which no worker polls for workflows and activities alike.

    Temporal forgets a worker that has gone only after minutes: ask about queues that nobody served before.
    """
    names = list(queues)
    served = await asyncio.gather(*(_is_served(client, name) for name in names))
    return [name for name, is_served in zip(names, served, strict=True) if not is_served]


async def _is_served(client: "Client", queue: str) -> bool:
    from temporalio.api.enums.v1 import TaskQueueType  # noqa: PLC0415 - 0.4 s
    from temporalio.api.taskqueue.v1 import TaskQueue  # noqa: PLC0415 - 0.4 s
    from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest  # noqa: PLC0415 - 0.4 s

    for kind in (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY):
        request = DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        )
        if not (await client.workflow_service.describe_task_queue(request)).pollers:
            return False
    return True
