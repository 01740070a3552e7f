"""Asks a server's local worker something, without a workflow: an activity of its own on the server's queue.

The answer does not stay in Temporal: it is deleted there once it has been read.
"""

import asyncio
import contextlib
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from temporalio.api.workflowservice.v1 import (
    DeleteActivityExecutionRequest,
    ListWorkersRequest,
)
from temporalio.client import ActivityFailureError, Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.exceptions import TimeoutError as TemporalTimeout
from temporalio.service import RPCError, RPCStatusCode

from kitsune import names
from kitsune.errors import KitsuneError, ServerAway, TooOld
from kitsune.models.base import WireModel
from kitsune.models.requests import PreflightReport, PreflightRequest

AnswerT = TypeVar("AnswerT", bound=WireModel)

#: How long a local worker may take to pick a question up; one that is there does so in milliseconds.
PATIENCE = timedelta(seconds=5)
_CALL = timedelta(seconds=5)
#: The SDK's word for an activity type that a worker does not know.
_NOT_REGISTERED = "NotFoundError"


async def ask_server(
    client: Client,
    question: str,
    request: WireModel,
    *,
    server_id: str,
    answer: type[AnswerT],
    patience: timedelta = PATIENCE,
    timeout: timedelta | None = None,
) -> AnswerT:
    """Return what a server answers.

    Args:
        client: The way to Temporal.
        question: An activity type.
        request: Its input.
        server_id: Whom to ask.
        answer: The model of what comes back.
        patience: How long its local worker may take to take the question up.
        timeout: How long the answer may take then; None: as long again.

    Raises:
        ServerAway: Nobody took it up, or no answer came; or the local worker cannot answer, and says why.
        TooOld: Its local worker, or Temporal, does not know such questions.
        RPCError: Temporal does not answer.
    """
    activity_id = f"{question}-{server_id}-{uuid.uuid4().hex}"
    try:
        answered: AnswerT = await client.execute_activity(
            question,
            request,
            id=activity_id,
            task_queue=names.server_queue(server_id),
            result_type=answer,
            schedule_to_start_timeout=patience,
            start_to_close_timeout=timeout or patience,
            retry_policy=RetryPolicy(maximum_attempts=1),
        )
        return answered  # noqa: TRY300 - the other ends are all errors
    except ActivityFailureError as error:
        raise await _trouble(client, error, server_id=server_id) from error
    except RPCError as error:
        if error.status is RPCStatusCode.UNIMPLEMENTED:
            raise TooOld(
                f"Temporal at {client.service_client.config.target_host} cannot ask a server directly "
                f"({error.message}): it needs version 1.32 with activity.enableStandalone"
            ) from error
        raise
    finally:
        await asyncio.shield(_forget(client, activity_id))


async def ask_what_it_can(
    client: Client, server_id: str, *, patience: timedelta
) -> PreflightReport:
    """Return what a server says of itself: a rollout's first question, without steps.

    Raises:
        ServerAway, TooOld, RPCError: As `ask_server`.
    """
    return await ask_server(
        client,
        names.PREFLIGHT,
        PreflightRequest(rollout_id="servers", server_id=server_id),
        server_id=server_id,
        answer=PreflightReport,
        patience=patience,
    )


async def last_heard(client: Client, server_id: str) -> datetime | None:
    """Return when Temporal last heard of a server's local worker, by its own clock; None where it does not remember."""
    query = f"TaskQueue = '{names.server_queue(server_id)}'"
    with contextlib.suppress(RPCError):
        found = await client.workflow_service.list_workers(
            ListWorkersRequest(namespace=client.namespace, query=query), timeout=_CALL
        )
        beats = [info.worker_heartbeat.heartbeat_time for info in found.workers_info]
        return max((beat.ToDatetime(tzinfo=UTC) for beat in beats), default=None)
    return None


async def _trouble(client: Client, error: ActivityFailureError, *, server_id: str) -> KitsuneError:
    cause: Any = error.cause
    if isinstance(cause, TemporalTimeout):
        return ServerAway(server_id, last_seen=await last_heard(client, server_id))
    if isinstance(cause, ApplicationError) and cause.type == _NOT_REGISTERED:
        return TooOld(
            f"the local worker of {server_id!r} is of an older Kitsune that cannot answer this: upgrade it"
        )
    return ServerAway(server_id, why=getattr(cause, "message", "") or str(cause))


async def _forget(client: Client, activity_id: str) -> None:
    with contextlib.suppress(RPCError):
        await client.workflow_service.delete_activity_execution(
            DeleteActivityExecutionRequest(namespace=client.namespace, activity_id=activity_id),
            timeout=_CALL,
        )
