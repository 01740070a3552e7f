"""Looks at a Temporal server and a fleet for `kitsune doctor`; what it sees is judged in `checks`."""

import asyncio
import uuid
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    GetClusterInfoRequest,
    ListTaskQueuePartitionsRequest,
)
from temporalio.client import ActivityFailureError, Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import TimeoutError as TemporalTimeout
from temporalio.service import RPCError, RPCStatusCode

from kitsune import names
from kitsune.models.requests import PreflightReport, PreflightRequest
from kitsune.service import checks
from kitsune.service.checks import Finding, Level
from kitsune.service.listing import WorkerRow, list_all_workers
from kitsune.version import __version__

_CALL = timedelta(seconds=5)
_AT_ONCE = 50
#: Queues are all made by one rule, so a few tell about the rest.
_QUEUES_LOOKED_AT = 10


@dataclass(frozen=True)
class Answer:
    """What became of one ping.

    Attributes:
        report: None for a server that did not answer.
        offset: How far the server's clock is ahead of ours.
        trouble: Why the ping itself could not be made.
    """

    server_id: str
    report: PreflightReport | None = None
    offset: timedelta | None = None
    trouble: str = ""
    exhausted: bool = False


async def examine(
    client: Client, server_ids: Sequence[str], *, now: Callable[[], datetime], timeout: timedelta
) -> list[Finding]:
    """Return a finding for each check; servers that nobody names are those that Temporal knows."""
    workers = await list_all_workers(client, now=now())
    agents = [row for row in workers if row.queue != names.ORCHESTRATOR_QUEUE]
    live = [row for row in workers if row.state == "online"]
    known = {row.queue for row in agents if row.state != "stopped"}
    asked = sorted(set(server_ids) or known)
    orchestrators = {
        row.identity: row.version for row in live if row.queue == names.ORCHESTRATOR_QUEUE
    }
    gone = {row.identity for row in workers if row.state != "online"}
    temporal = await _look_at_temporal(client)
    partitions = await _look_at_partitions(client, asked[:_QUEUES_LOOKED_AT])
    answers = await _ping_all(client, asked, now=now, timeout=timeout)
    return [
        *temporal,
        checks.judge_orchestrators(
            orchestrators,
            polling=0 if orchestrators else await _orchestrators_polling(client, gone),
        ),
        checks.judge_polls(
            len(known | set(asked)), exhausted=any(answer.exhausted for answer in answers)
        ),
        *partitions,
        *_judge_answers(answers, orchestrator=max(orchestrators.values(), default=__version__)),
        checks.judge_duplicates(_hosts(live, asked)),
    ]


async def _look_at_temporal(client: Client) -> list[Finding]:
    cluster = await client.workflow_service.get_cluster_info(GetClusterInfoRequest(), timeout=_CALL)
    namespace = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace), timeout=_CALL
    )
    retention = namespace.config.workflow_execution_retention_ttl.ToTimedelta()
    return [checks.judge_version(cluster.server_version), checks.judge_retention(retention)]


async def _orchestrators_polling(client: Client, gone: Container[str]) -> int:
    """Return how many orchestration workers have polled in the last minutes and are not known to be gone."""
    queue = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=names.ORCHESTRATOR_QUEUE),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        ),
        timeout=_CALL,
    )
    return len({poller.identity for poller in queue.pollers if poller.identity not in gone})


async def _look_at_partitions(client: Client, queues: Iterable[str]) -> list[Finding]:
    partitions: dict[str, int] = {}
    try:
        for queue in queues:
            found = await client.workflow_service.list_task_queue_partitions(
                ListTaskQueuePartitionsRequest(
                    namespace=client.namespace, task_queue=TaskQueue(name=queue)
                ),
                timeout=_CALL,
            )
            partitions[queue] = max(
                len(found.activity_task_queue_partitions), len(found.workflow_task_queue_partitions)
            )
    except RPCError as error:
        return [
            Finding("partitions", Level.WARNING, f"cannot be read ({error.status.name.lower()})")
        ]
    return [checks.judge_partitions(partitions)] if partitions else []


async def _ping_all(
    client: Client, asked: Sequence[str], *, now: Callable[[], datetime], timeout: timedelta
) -> list[Answer]:
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(server_id: str) -> Answer:
        async with room:
            return await _ping(client, server_id, now=now, timeout=timeout)

    return await asyncio.gather(*(one(server_id) for server_id in asked))


async def _ping(
    client: Client, server_id: str, *, now: Callable[[], datetime], timeout: timedelta
) -> Answer:
    """Run Preflight without steps on a server, as an activity without a workflow."""
    sent = now()
    try:
        report = await client.execute_activity(
            names.PREFLIGHT,
            PreflightRequest(rollout_id="doctor", server_id=server_id),
            id=f"doctor-{server_id}-{uuid.uuid4().hex[:8]}",
            task_queue=server_id,
            result_type=PreflightReport,
            schedule_to_start_timeout=timeout,
            start_to_close_timeout=timeout,
            retry_policy=RetryPolicy(maximum_attempts=1),
        )
    except ActivityFailureError as error:
        if isinstance(error.cause, TemporalTimeout):
            return Answer(server_id)
        return Answer(server_id, trouble=f"its answer failed: {error.cause}")
    except RPCError as error:
        exhausted = error.status is RPCStatusCode.RESOURCE_EXHAUSTED
        if error.status is RPCStatusCode.UNAVAILABLE:
            raise
        return Answer(server_id, trouble=f"cannot be asked: {error.message}", exhausted=exhausted)
    back = now()
    offset = report.clock - (sent + (back - sent) / 2) if report.clock else None
    # A ping that waited says less about the clock: the server read it at any moment in between.
    if offset is not None:
        slack = (back - sent) / 2
        offset = max(abs(offset) - slack, timedelta()) * (1 if offset > timedelta() else -1)
    return Answer(server_id, report=report, offset=offset)


def _judge_answers(answers: Sequence[Answer], *, orchestrator: str) -> list[Finding]:
    reports = {answer.server_id: answer.report for answer in answers if answer.report}
    complaints = {answer.server_id: answer.trouble for answer in answers if answer.trouble}
    for server_id, report in reports.items():
        if report.problems:
            complaints[server_id] = "; ".join(problem.text for problem in report.problems)
    silent = [answer.server_id for answer in answers if not answer.report and not answer.trouble]
    offsets = {answer.server_id: answer.offset for answer in answers if answer.offset is not None}
    found = [checks.judge_silent(len(answers), silent), *checks.judge_complaints(complaints)]
    if reports:
        versions = {server_id: report.version for server_id, report in reports.items()}
        found += [
            checks.judge_clocks(offsets),
            checks.judge_versions(versions, orchestrator=orchestrator),
        ]
    return found


def _hosts(live: Iterable[WorkerRow], asked: Sequence[str]) -> dict[str, list[str]]:
    """Return the hosts on which each asked server's live workers run."""
    hosts: dict[str, list[str]] = {}
    for row in live:
        if row.queue in set(asked):
            hosts.setdefault(row.queue, []).append(row.host)
    return hosts
